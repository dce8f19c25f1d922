"""KEEP: the outbox. What the broker has not acknowledged in time is on disk; one thread opens SQLite."""
