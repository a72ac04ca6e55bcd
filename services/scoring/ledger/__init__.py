"""The accountant: client ledger, state, archive, dead letters and log held against each other, id by id."""
