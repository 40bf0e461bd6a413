"""The values of a JSON text are counted before decoding."""

import json
import random
from typing import Any

import pytest

from schema.http.json_size import may_exceed, n_separators

MOST = 1_000
STRANGE = ["", '"', "\\", '\\"', "[{,", '","', '\\\\",[', "\u0301", "\U0001f600", "\n"]


def a_value(source: random.Random, depth: int) -> Any:
    kind = source.randrange(6 if depth else 3)
    if kind <= 2:
        return ["".join(source.choices(STRANGE, k=3)), source.random(), None][kind]
    parts = [a_value(source, depth - 1) for _ in range(source.randrange(5))]
    return parts if kind % 2 else {f"{source.choice(STRANGE)}{n}": part for n, part in enumerate(parts)}


def separators(value: Any) -> int:
    """Commas and opening brackets of a value, counted in the value itself."""
    if not isinstance(value, list | dict):
        return 0
    parts = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(0, len(parts) - 1) + sum(map(separators, parts))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_contents_of_strings_are_not_counted(seed: int, ascii_only: bool) -> None:
    value = a_value(random.Random(seed), 6)  # noqa: S311 - no secret
    assert n_separators(json.dumps(value, ensure_ascii=ascii_only).encode()) == separators(value)


@pytest.mark.parametrize("item", ["1", '"a,b"', "[]", "{}", '{"a":1}', "[[]]"])
def test_values_beyond_the_limit_are_refused(item: str) -> None:
    per_item = 2 if "1" in item and "{" in item or item == "[[]]" else 1  # noqa: RUF021 - precedence is clear
    within = f"[{','.join([item] * (MOST // per_item))}]".encode()
    beyond = f"[{','.join([item] * (2 * MOST + 2))}]".encode()
    assert not may_exceed(within, MOST)
    assert may_exceed(beyond, MOST)
    assert not may_exceed(json.dumps([within.decode()] * 5).encode(), MOST)  # as text, such as a CSV file's


@pytest.mark.parametrize("broken", [b'"', b"\\", b'"\\', b'[","' + b'",' * 5_000, b"\\" * 9_999 + b'"[,'])
def test_a_text_that_is_not_json_is_counted_as_well(broken: bytes) -> None:
    assert n_separators(broken) >= 0
