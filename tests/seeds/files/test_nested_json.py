"""JSON, and Python's notation, within the cells of a table."""

from typing import Any

import pytest

from seeds.files.nested_json import names, nested


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("[]", []),
        ("{'name': 'One', 'poster': None}", [{"name": "One", "poster": None}]),
        ("[{'name': ': None, ', 'video': True}]", [{"name": ": None, ", "video": True}]),
        ("""[{'name': "it's"}]""", [{"name": "it's"}]),
        (r"[{'name': 'a\\b\xa0'}]", [{"name": "a\\b\xa0"}]),
        ('[{"name": "it\'s", "x": null}]', [{"name": "it's", "x": None}]),
    ],
)
def test_both_notations_are_read(text: str, expected: list[dict[str, Any]]) -> None:
    assert nested(text) == expected


@pytest.mark.parametrize("text", ["[{", "[1]", "'x'", "__import__('os')", "[{'a': f()}]"])
def test_what_is_no_list_of_objects_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        nested(text)


def test_names_come_once() -> None:
    assert names("[{'name': 'b'}, {'name': 'a'}, {'name': 'b'}, {'id': 1}]") == ("b", "a")
