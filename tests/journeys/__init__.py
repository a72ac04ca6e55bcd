"""From the door to the answer, on real input."""
