"""Usage: how much of the product is used, by how many; and what ingest's lists need of the fold."""
