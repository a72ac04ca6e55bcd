"""Tiers: how closely an account is looked after, by money."""
