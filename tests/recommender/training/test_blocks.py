"""Matrices are cut into blocks that fit the memory of a worker."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.training.blocks import RowTooLarge, cuts


@given(
    counts=st.lists(st.integers(0, 50), min_size=1, max_size=60),
    memory=st.integers(700, 5_000),
    least=st.integers(1, 9),
)
def test_each_range_fits_and_no_row_is_left_out(counts: list[int], memory: int, least: int) -> None:
    indptr = np.concatenate(([0], np.cumsum(counts)))
    ranges = cuts(indptr, memory=memory, row_bytes=100, value_bytes=12, least=least)
    assert [row for part in ranges for row in range(part.start, part.stop)] == list(range(len(counts)))
    for part in ranges:
        assert sum(100 + 12 * count for count in counts[part]) <= memory


def test_equal_rows_make_at_least_as_many_ranges_as_asked() -> None:
    ranges = cuts(np.arange(101), memory=10**9, row_bytes=8, value_bytes=8, least=8)
    assert len(ranges) >= 8
    assert {part.stop - part.start for part in ranges[:-1]} == {12}


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(RowTooLarge) as refused:
        cuts(np.array([0, 1, 100]), memory=500, row_bytes=10, value_bytes=8, least=2)
    assert refused.value.needed == 10 + 8 * 99
