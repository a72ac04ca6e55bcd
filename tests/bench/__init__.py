"""The bench: Genki beside bare loops of the same work, side by side in one run."""
