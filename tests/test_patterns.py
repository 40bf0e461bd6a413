"""Every regular expression of the project takes linear time on any text.

Two constructs take quadratic time or more: a repeat within a repeat, and a search whose pattern
begins with a repeat and continues, since it retries from each position in a long run of the repeated text.
"""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The tree of a pattern; the standard library has no public name for its parser.
_parser: Any = importlib.import_module("re._parser")
_constants: Any = importlib.import_module("re._constants")
ROOT = Path(__file__).parent.parent
ANCHORED = {"match", "fullmatch"}
FUNCTIONS = {"compile", "search", "sub", "subn", "split", "findall", "finditer"} | ANCHORED
REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
LINEAR = {
    r"[a-z0-9_]+(\.[a-z0-9_]+)*",  # dots separate the repeats
}
OURS = "schema/changes.py"  # reads this project's own changelog


def patterns() -> Iterator[tuple[str, str | bytes, bool]]:
    """Each pattern in a module, and whether it is only matched at the beginning of a text."""
    for package in ("app", "schema", "recommender", "seeds"):
        for path in sorted((ROOT / package).rglob("*.py")):
            place = str(path.relative_to(ROOT))
            source = path.read_text()
            for node in ast.walk(ast.parse(source)) if "re." in source else ():
                match node:
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if is_pattern(
                        call
                    ):
                        uses = set(re.findall(rf"\b{name}\.(\w+)\(", source))
                        yield f"{place}:{node.lineno}", text_of(call), bool(uses) and uses <= ANCHORED
                    case ast.Call() if is_pattern(node) and node.func.attr != "compile":  # type: ignore[attr-defined]
                        yield f"{place}:{node.lineno}", text_of(node), node.func.attr in ANCHORED  # type: ignore[attr-defined]


def is_pattern(node: ast.Call) -> bool:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="re"), attr=name),
            args=[ast.Constant(value=str() | bytes()), *_],
        ):
            return name in FUNCTIONS
    return False


def text_of(node: ast.Call) -> Any:
    return node.args[0].value  # type: ignore[attr-defined]


def faults(pattern: str | bytes, *, anchored: bool) -> list[str]:
    parsed = list(_parser.parse(pattern))
    if parsed and parsed[0][0] is _constants.AT and parsed[0][1] is not _constants.AT_BOUNDARY:
        anchored = True
    return [*found_in(parsed, within=False, first=not anchored)]


def found_in(parts: Iterable[tuple[Any, Any]], *, within: bool, first: bool) -> Iterator[str]:
    """`within` an unbounded repeat; `first` at a position where a search may begin."""
    parts = list(parts)
    for place, (kind, value) in enumerate(parts):
        begins = first and place == 0
        if kind in REPEATS:
            _, most, body = value
            if most is _constants.MAXREPEAT:
                if within:
                    yield "a repeat within a repeat"
                if begins and place < len(parts) - 1:
                    yield "a search begins with a repeat and goes on"
            yield from found_in(body, within=within or most is _constants.MAXREPEAT, first=begins)
        elif kind is _constants.SUBPATTERN:
            rest = parts[place + 1 :] if begins else []
            yield from found_in([*value[-1], *rest], within=within, first=begins)
        elif kind is _constants.BRANCH:
            for branch in value[1]:
                yield from found_in(branch, within=within, first=begins)


def test_no_pattern_takes_more_than_linear_time() -> None:
    """One test, since each worker would parse all modules for the parameters of many."""
    found = [each for each in patterns() if OURS not in each[0] and each[1] not in LINEAR]
    assert len(found) > 15
    slow = {place: faults(pattern, anchored=anchored) for place, pattern, anchored in found}
    assert {place: kinds for place, kinds in slow.items() if kinds} == {}


@pytest.mark.parametrize("pattern", [r"\s*\(x\)$", r"(\w+)*$", r"(?:a+|b)+c", r"(\s+)x", r"x(?:y\w*)*"])
def test_slow_patterns_are_detected(pattern: str) -> None:
    assert faults(pattern, anchored=False)


@pytest.mark.parametrize(
    "pattern", [r"\w+", r"\w\w+", r"^(.*)x", r"(?:\w[.*]){1,20}\w?", r"\d{1,4}x", r"(a|b)+"]
)
def test_linear_patterns_are_accepted(pattern: str) -> None:
    assert faults(pattern, anchored=False) == []
