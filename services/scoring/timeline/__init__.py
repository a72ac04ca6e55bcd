"""What happened with an account, newest first."""
