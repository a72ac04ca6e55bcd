"""Who persons are: asked by other services, never by the public."""
