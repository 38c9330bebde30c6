"""The segment language: parse, validate, lower, compile, explain, fingerprint."""
