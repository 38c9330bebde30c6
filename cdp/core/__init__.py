"""A closed set without Django: errors, ids, time, crypto, identifier normalising."""
