"""The oracle can only prove something while it shares nothing with what it counts again."""

import ast
from pathlib import Path

import pytest

ROOM = Path(__file__).parent
FILES = sorted(path for path in ROOM.rglob("*.py") if path != Path(__file__))


def imported(path: Path) -> set[str]:
    """The full names that a module imports, whole modules and names of them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOM)))
def test_the_oracle_imports_the_standard_library_duckdb_and_itself(path: Path) -> None:
    allowed = {
        "ast", "collections", "dataclasses", "datetime", "decimal", "duckdb", "fractions", "itertools", "json", "math",
        "pathlib", "random", "re", "typing", "zoneinfo",
    }  # fmt: skip
    others = {name for name in imported(path) if not name.startswith("tests.oracle")}
    assert {name.partition(".")[0] for name in others} <= allowed


def test_no_word_of_the_oracle_can_reach_the_product() -> None:
    for path in [*FILES, *sorted(ROOM.rglob("*.sql"))]:
        text = path.read_text()
        for word in ("import_module", "__import__", "scoring_state", "from services", "from shared"):
            assert word not in text, f"{path}: {word}"
