"""The people of an account: who they are, and what they do and say."""
