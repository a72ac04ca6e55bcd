"""What Genki is measured against: the same work with nothing around it."""
