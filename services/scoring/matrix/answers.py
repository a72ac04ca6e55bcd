"""The matrix as the API shows it. Pure."""

from collections.abc import Mapping
from typing import Any

from services.scoring.accounts.answers import money
from services.scoring.matrix.rules import CellKey, CellTotal, cells
from shared.tenant_settings import TenantSettings


def matrix(found: Mapping[CellKey, CellTotal], settings: TenantSettings) -> dict[str, Any]:
    """All sixteen cells, ranks outer; `unranked` = started but in no rank, `without_start` = not started by T's day."""
    shown = [
        _cell(rank, tenure, priority, found.get((rank, tenure), CellTotal()), settings.currency)
        for rank, tenure, priority in cells(settings)
    ]
    unranked = sum(total.accounts for (rank, tenure), total in found.items() if tenure and not rank)
    without_start = sum(total.accounts for (_, tenure), total in found.items() if not tenure)
    return {"currency": settings.currency, "cells": shown, "unranked": unranked, "without_start": without_start}


def _cell(rank: str, tenure: str, priority: str, total: CellTotal, currency: str) -> dict[str, Any]:
    return {
        "rank": rank,
        "tenure": tenure,
        "accounts": total.accounts,
        "acv": money(total.acv, currency),
        "mean_health": total.mean_health,
        "n_scored": total.scored,
        "coverage": total.coverage,
        "priority": priority,
    }
