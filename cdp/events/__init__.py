"""What happened: the durable inbox, the recent window, the Parquet event store with its manifest, orders, the outbox."""
