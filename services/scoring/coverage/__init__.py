"""Coverage: which accounts were talked to in time."""
