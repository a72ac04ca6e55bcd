"""The keep list: the accounts to be kept first, each with its state, none forgotten without a reason."""
