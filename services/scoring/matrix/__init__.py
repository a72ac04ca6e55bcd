"""Rank and tenure: whom to look after first."""
