"""Whether and since when an account is a customer, and what it pays."""
