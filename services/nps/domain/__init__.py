"""What nps decides, without I/O."""
