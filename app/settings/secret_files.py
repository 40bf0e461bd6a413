"""Secrets from files, as container platforms mount them: `NAME_FILE` names the file of the setting `NAME`."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

MAX_CHARACTERS = 10_000


def with_secret_files(values: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Add the contents of the files that the environment names for the settings `names`.

    Raises ValueError, which names the variable.
    """
    found = dict(values)
    for name in names:
        if (secret := read_secret(name.upper())) is not None:
            if found.get(name):
                raise ValueError(f"{name.upper()} and {name.upper()}_FILE are both set: unset one of them")
            found[name] = secret
    return found


def read_secret(name: str) -> str | None:
    """The content of the file `NAME_FILE`, without line breaks at its end; None if the variable is unset.

    Raises ValueError, which names the variable.
    """
    variable = f"{name}_FILE"
    if not (path := os.environ.get(variable)):
        return None
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = file.read(MAX_CHARACTERS + 1).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{variable} names {path}, which cannot be read: {why}") from None
    if not content or len(content) > MAX_CHARACTERS:
        raise ValueError(f"{variable} names {path}, which must have 1 to {MAX_CHARACTERS} characters")
    return content
