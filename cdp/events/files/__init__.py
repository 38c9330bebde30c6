"""The Parquet side of the event store: what a file is, which files there are, and how files become other files."""
