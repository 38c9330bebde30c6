"""What does this privacy signal say? Strict readers of TCF, GPP, US Privacy and GPC; ``decode.py`` is the door."""
