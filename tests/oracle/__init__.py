"""Figures counted again from the raw files by another program; nothing of the product is imported here."""
