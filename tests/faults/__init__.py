"""Genki under faults: processes on one machine are killed, frozen and cut off, and accounts are drawn up after."""
