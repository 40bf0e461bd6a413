"""Confusable and mixed-script names: UTS 39, Unicode Security Mechanisms.

The data files in this folder are from Unicode; each names its version and source. All functions are linear in
the length of the text, except for its normalization: limit the length first.
"""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

FOLDER = Path(__file__).parent

# Sets of scripts that are written together count as one more script (UTS 39, section 5.1).
WRITTEN_TOGETHER = {
    "Hani": ("Hanb", "Jpan", "Kore"),
    "Hira": ("Jpan",),
    "Kana": ("Jpan",),
    "Hang": ("Kore",),
    "Bopo": ("Hanb",),
}
OF_ANY_SCRIPT = {"Zyyy", "Zinh"}
BESIDE_LATIN = ("Jpan", "Hanb", "Kore")


def _rows(name: str) -> Iterator[list[str]]:
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split(";")


def _ends(code_points: str) -> tuple[int, int]:
    first, _, last = code_points.partition("..")
    return int(first, 16), int(last or first, 16)


def _augmented(scripts: str) -> frozenset[str] | None:
    """The scripts of a character and the sets they belong to; None for a character of any script."""
    codes = set(scripts.split())
    if codes & OF_ANY_SCRIPT:
        return None
    return frozenset(codes.union(*(WRITTEN_TOGETHER.get(script, ()) for script in codes)))


PROTOTYPES = {
    chr(int(source, 16)): "".join(chr(int(each, 16)) for each in prototype.split())
    for source, prototype in _rows("confusables.txt")
}
IGNORABLE = frozenset(
    chr(code_point)
    for (code_points,) in _rows("ignorable.txt")
    for code_point in range(_ends(code_points)[0], _ends(code_points)[1] + 1)
)
# Ranges of code points, in ascending order.
ALLOWED = [(*_ends(code_points), _augmented(scripts)) for code_points, scripts in _rows("identifiers.txt")]
BEGINNINGS = [first for first, _, _ in ALLOWED]


def skeleton(text: str) -> str:
    """The skeleton, which is equal for texts that look alike (section 4)."""
    shown = (character for character in normalize("NFD", text) if character not in IGNORABLE)
    return normalize("NFD", "".join(PROTOTYPES.get(character, character) for character in shown))


def is_allowed(character: str) -> bool:
    """Whether a character is allowed in identifiers, as those of living languages are (section 3.1)."""
    place = bisect_right(BEGINNINGS, ord(character)) - 1
    return place >= 0 and ord(character) <= ALLOWED[place][1]


def is_highly_restrictive(text: str) -> bool:
    """Whether allowed characters have one script, or Latin with Chinese, Japanese or Korean (section 5.2)."""
    found = (ALLOWED[bisect_right(BEGINNINGS, ord(character)) - 1][2] for character in text)
    scripts = [each for each in found if each is not None]
    if not scripts or frozenset.intersection(*scripts):
        return True
    return any(all("Latn" in each or other in each for each in scripts) for other in BESIDE_LATIN)
