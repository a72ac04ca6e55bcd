"""ingest's rules: bytes in, facts or reasons out. No clock, no I/O, no await."""
