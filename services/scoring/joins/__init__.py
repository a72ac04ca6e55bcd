"""Two ids that are one: accounts merged into another, a person's earlier ids."""
