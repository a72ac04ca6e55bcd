"""The settings of a tenant: what its figures are counted by."""
