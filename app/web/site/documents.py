"""The operations of the web app, from its `.graphql` files, by the SHA-256 of their texts."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FRAGMENT = re.compile(r"^fragment (\w+) on ", re.MULTILINE)
SPREAD = re.compile(r"\.\.\.\s*(?!on\b)(\w+)")


@dataclass(frozen=True, slots=True)
class Document:
    """An operation with the fragments that it spreads."""

    name: str  # of its file, without the ending
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(folder: Path) -> list[Document]:
    """The operations of a folder. A file with a fragment has nothing else."""
    files = {path.stem: path.read_text() for path in sorted(folder.glob("*.graphql"))}
    named = {found[1]: text for text in files.values() if (found := FRAGMENT.search(text))}
    return [
        Document(stem, "\n".join([text, *spread(text, named)]))
        for stem, text in files.items()
        if text not in named.values()
    ]


def spread(text: str, named: Mapping[str, str]) -> list[str]:
    """The fragments that a text spreads, directly or through others, each once. Raises KeyError."""
    found: dict[str, str] = {}
    left = SPREAD.findall(text)
    while left:
        name = left.pop(0)
        if name not in found:
            found[name] = named[name]
            left += SPREAD.findall(named[name])
    return list(found.values())
