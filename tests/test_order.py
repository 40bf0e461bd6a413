"""The order of tests on several workers."""

from dataclasses import dataclass
from typing import cast

import pytest

from tests.order import spread


@dataclass
class Item:
    name: str
    path: str = "short"
    mark: pytest.Mark | None = None

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.mark if self.mark is not None and self.mark.name == name else None


def long(*group: str) -> pytest.Mark:
    return pytest.Mark("long", group, {}, _ispytest=True)


def ordered(items: list[Item], workers: int) -> list[str]:
    return [item.name for item in cast("list[Item]", spread(cast("list[pytest.Item]", items), workers))]


def test_long_tests_begin_the_share_of_each_worker_and_files_stay_together() -> None:
    short = [Item(str(number)) for number in range(10)]
    items = [
        *short,
        Item("a1", "a", long()),
        Item("a2", "a", long()),
        Item("b", "b", long()),
        Item("c", "c", long("broker")),
        Item("d", "d", long("broker")),
    ]
    found = ordered(items, 3)
    assert [found[:5], found[5:10], found[10:]] == [
        ["a1", "a2", "0", "1", "2"],
        ["b", "3", "4", "5", "6"],
        ["c", "d", "7", "8", "9"],
    ]


@pytest.mark.parametrize("workers", [1, 2, 5, 9])
def test_each_test_is_kept_once(workers: int) -> None:
    items = [Item(str(number), str(number % 3), long() if number % 4 else None) for number in range(7)]
    assert sorted(ordered(items, workers)) == [item.name for item in items]
