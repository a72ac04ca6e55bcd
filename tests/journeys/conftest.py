"""Journeys through scoring use its house."""

from tests.services.scoring.conftest import house

__all__ = ["house"]
