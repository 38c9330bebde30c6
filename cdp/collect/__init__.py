"""How data come in: the tracking API, file import, rejects."""
