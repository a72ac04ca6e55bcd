"""The contract ledger of an account: every change, with the amount before and after."""
