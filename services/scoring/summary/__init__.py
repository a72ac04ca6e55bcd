"""The home screen: what a CS manager looks at first."""
