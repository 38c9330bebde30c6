"""The demo: real purchases of CDNOW (1997-98), made-up addresses and consents, and the whole way to a synced audience."""
