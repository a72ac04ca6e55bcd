"""NPS: the customer's own voice."""
