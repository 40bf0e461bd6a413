"""Tables of an evaluation: as tables where they fit the terminal, else a line for each figure."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from app.offline.evaluation_tables import print_table


@pytest.fixture
def table() -> Table:
    made = Table("model", *(f"ndcg@{k}" for k in range(1, 8)), "", title="Lists of 10")
    for name in ("hybrid", "item-knn"):
        made.add_row(name, *(f"0.312{k} [0.3001, 0.3241]" for k in range(1, 8)), "")
    return made


@pytest.mark.parametrize(("width", "is_table"), [(80, False), (240, True)])
def test_a_table_fits_the_terminal(table: Table, width: int, is_table: bool) -> None:
    written = io.StringIO()
    print_table(Console(file=written, width=width), table)
    text = written.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert ("┃" in text) == is_table
    assert all(f"0.312{k} [0.3001, 0.3241]" in text for k in range(1, 8))  # none is broken
    assert "hybrid" in text
    assert ("  ndcg@7: 0.3127 [0.3001, 0.3241]" in text) != is_table
