"""The account list and the view of one account."""
