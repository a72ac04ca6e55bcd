"""The stream: changes of health and coverage, told as they happen to whoever listens, and again for a day."""
