"""Lists of objects inside a csv field, as Kaggle's files have them: in JSON or in Python's notation."""

import ast
import json
import re
from typing import Any

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
    """The `name` of each object, each once."""
    return tuple(
        dict.fromkeys(name for entry in nested(text) if (name := str(entry.get("name") or "").strip()))
    )


def _read(text: str) -> Any:
    if '"' not in text and "\\" not in text:
        # Python's notation without an escape is JSON but for quotes and three names, and sooner read so.
        text = _PYTHON_VALUE.sub(lambda match: _PYTHON_NAMES[match[1]], text).replace("'", '"')
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("neither JSON nor a Python literal") from error
