"""The shape of the matrix, for the OpenAPI document."""

from pydantic import BaseModel

from services.scoring.accounts.shapes import Asked


class MatrixCell(BaseModel):
    """One cell. `mean_health`: the plain mean of the `n_scored` scores that there are; `coverage`: covered ÷ eligible;
    both null where there is nothing to divide by."""

    rank: str
    tenure: str
    accounts: int
    acv: str
    mean_health: float | None
    n_scored: int
    coverage: float | None
    priority: str


class Matrix(Asked):
    """All sixteen cells, A to D and within each a to d; with `unranked` and `without_start` every account that is not
    churned. Money in `currency`."""

    currency: str
    cells: list[MatrixCell]
    unranked: int
    without_start: int
