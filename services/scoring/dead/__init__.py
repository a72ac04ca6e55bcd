"""Dead letters: what they are, whether they can be applied by now, and how they come back on the log."""
