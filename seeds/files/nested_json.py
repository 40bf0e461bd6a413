"""Lists inside a csv field: objects in JSON or in Python's notation, or plain names by commas."""

import ast
import json
import re
from typing import Any

from seeds.files.cells import MAX_LIST, NOT_A_LIST, CellError, country_code, name, plain_list

MAX_CHARACTERS = 4 << 20  # of a field; the longest cast known has 0.3 million

_PYTHON_NAMES = {"None": "null", "True": "true", "False": "false"}
# After a key and the quote that closes it. No value holds that: with a quote inside, Python quotes otherwise.
_PYTHON_VALUE = re.compile(r"(?<=\w': )(None|True|False)(?=[,}])")


def nested(text: str) -> list[dict[str, Any]]:
    """The objects of a list, or the one object that stands alone.

    Raises:
        ValueError: it is neither notation, or something else than objects.
    """
    if not text:
        return []
    value = _read(text)
    objects = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in objects):
        raise ValueError("not a list of objects")
    return objects


def names(text: str) -> tuple[str, ...]:
    """The `name` of each object, each text of a list, or names by commas; once each. Raises ValueError."""
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
    """ISO 3166-1 codes of objects with `iso_3166_1`, or of names. Raises ValueError for another name."""
    if text.lstrip()[:1] in ("[", "{"):
        entries = _read(text)
        objects = entries if isinstance(entries, list) else [entries]
        found = [
            str(entry.get("iso_3166_1") or entry.get("name") or "") if isinstance(entry, dict) else str(entry)
            for entry in objects
        ]
    else:
        found = _split_countries(text)
    codes = [country_code(each) for each in found if each.strip()]
    if len(codes) > MAX_LIST or None in codes:
        raise CellError("has a name that is no country")
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
        # Python's notation without an escape is JSON but for quotes and three names, and sooner read so.
        plain = _PYTHON_VALUE.sub(lambda match: _PYTHON_NAMES[match[1]], text).replace("'", '"')
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("neither JSON nor a Python literal") from error
