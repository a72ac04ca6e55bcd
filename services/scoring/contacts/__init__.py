"""Contacts that are planned: what is ahead, what was missed, what was done."""
