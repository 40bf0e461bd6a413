"""Arrays as text, as Postgres reads them."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from app.db.array_literals import array_literal, text_array_literal

TIME = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", []),
        ("bigint", [1, -2, 2**62]),
        ("real", [0.5, None]),
        ("timestamptz", [TIME, None]),
        ("text", ["a", "", "NULL", None, 'a "b" \\ {c}, d', "é\n'"]),
    ],
)
def test_postgres_reads_the_values(postgres_url: str, kind: str, values: list[Any]) -> None:
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute(f"SELECT CAST(%s AS {kind}[])", [array_literal(values)]).fetchone()
    assert row == (values,)


@pytest.mark.parametrize(
    "values", [[], [""], ["a", "", "NULL", "{c}, d"], ["a", 'b"'], ['"', "b"], ["a\\", "b"], ["é\n'"]]
)
def test_postgres_reads_texts_that_are_joined_at_once(postgres_url: str, values: list[str]) -> None:
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT CAST(%s AS text[])", [text_array_literal(values)]).fetchone()
    assert row == (values,)
