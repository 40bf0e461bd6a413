"""Parse lists inside a CSV field: JSON objects, Python literals, or names separated by commas."""

import ast
import json
import re
from typing import Any

from seeds.files.cells import MAX_LIST, NOT_A_LIST, CellError, country_code, name, plain_list

MAX_CHARACTERS = 4 << 20  # of a field; the longest known cast has 0.3 million

_PYTHON_NAMES = {"None": "null", "True": "true", "False": "false"}
# It follows a key and its closing quote. No string matches: Python writes a quote in double quotes.
_PYTHON_VALUE = re.compile(r"(?<=\w': )(None|True|False)(?=[,}])")


def nested(text: str) -> list[dict[str, Any]]:
    """Parse a list of objects, or a single object. Raises ValueError for anything else."""
    if not text:
        return []
    value = _read(text)
    objects = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in objects):
        raise ValueError("not a list of objects")
    return objects


def names(text: str) -> tuple[str, ...]:
    """Parse distinct names: of objects with a `name`, of a list of strings, or separated by commas.

    Raises ValueError.
    """
    if text.lstrip()[:1] not in ("[", "{"):
        return plain_list(text)
    value = _read(text)
    if isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
        found = [name(entry) for entry in value]
    else:
        found = [name(entry.get("name")) for entry in nested(text)]
    different = tuple(dict.fromkeys(filter(None, found)))
    if len(different) > MAX_LIST:
        raise CellError(NOT_A_LIST)
    return different


def countries(text: str) -> tuple[str, ...]:
    """Parse countries to ISO 3166-1 codes, from objects with `iso_3166_1` or from names.

    Raises ValueError for an unknown name.
    """
    if text.lstrip()[:1] in ("[", "{"):
        entries = _read(text)
        objects = entries if isinstance(entries, list) else [entries]
        found = [
            str(entry.get("iso_3166_1") or entry.get("name") or "") if isinstance(entry, dict) else str(entry)
            for entry in objects
        ]
    else:
        found = _split_countries(text)
    codes = [country_code(country) for country in found if country.strip()]
    if len(codes) > MAX_LIST or None in codes:
        raise CellError("has an unknown country")
    return tuple(dict.fromkeys(code for code in codes if code))


def _split_countries(text: str) -> list[str]:
    if "|" in text:
        return text.split("|")
    return [text] if country_code(text) else text.split(",")


def _read(text: str) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"longer than {MAX_CHARACTERS} characters")
    plain = text
    if '"' not in text and "\\" not in text:
        # A Python literal without escapes is JSON except for quotes and three names. JSON is faster to parse.
        plain = _PYTHON_VALUE.sub(lambda match: _PYTHON_NAMES[match[1]], text).replace("'", '"')
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("neither JSON nor a Python literal") from error
