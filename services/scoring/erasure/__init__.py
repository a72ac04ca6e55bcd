"""Erasure: a person's name, addresses and words go from everything that is kept, what they did stays counted."""
