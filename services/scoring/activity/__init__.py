"""What the team did: attempts and who they reached, by CSM and week; how fast customers were answered."""
