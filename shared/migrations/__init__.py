"""Schema changes of what all services share: tenants, keys and the log; and the helper that runs every service's."""
