"""Health: a score that explains itself."""
