"""The ratings of a binary COPY are decoded in blocks."""

import numpy as np
import psycopg
import pytest

from app.db import binary_copy
from app.training import data

COLUMNS = """
COPY (
    SELECT user_id, user_id * 7 % 100, (user_id % 10 + 1)::smallint, 1000 * user_id
    FROM generate_series(1, 1000::bigint) AS user_id
) TO STDOUT (FORMAT binary)
"""


@pytest.fixture
def sent(database_url: str) -> list[bytes]:
    """The messages of a COPY of a thousand ratings."""
    with psycopg.connect(database_url) as connection, connection.cursor().copy(COLUMNS) as copy:
        return [bytes(message) for message in copy]


@pytest.mark.parametrize("block_bytes", [1, 1000, 1 << 20])
def test_blocks_of_any_size_give_the_same_columns(sent: list[bytes], block_bytes: int) -> None:
    users, movies, half_stars, times = data.columns_of(sent, block_bytes)
    expected = np.arange(1, 1001)
    np.testing.assert_array_equal(users, expected)
    np.testing.assert_array_equal(movies, expected * 7 % 100)
    np.testing.assert_array_equal(half_stars, expected % 10 + 1)
    np.testing.assert_array_equal(times, expected * 1000)
    assert users.dtype == movies.dtype == times.dtype == np.int64


def test_a_copy_without_ratings() -> None:
    for column in data.columns_of([binary_copy.HEADER, binary_copy.TRAILER]):
        assert column.size == 0


@pytest.mark.parametrize("cut", [1, 2, 10, 41])
def test_a_copy_that_ends_early_is_refused(sent: list[bytes], cut: int) -> None:
    with pytest.raises(ValueError, match="ended early"):
        data.columns_of([b"".join(sent)[:-cut]], 1000)


def test_a_block_is_held_at_once(sent: list[bytes]) -> None:
    rows = sent[1:-1] * 50
    held = max(len(block) for block in data.blocks_of([binary_copy.HEADER, *rows, sent[-1]], 4096))
    assert held <= 4096 // binary_copy.RATING_ROW.itemsize + 1
