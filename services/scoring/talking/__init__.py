"""What to talk about with a customer, and what the customer may be shown."""
