"""Recognize the user, movie, rating and time columns of a table.

If the rating or time is not found, but an unrecognized column could be it, reading fails with a message that
says how to name the column.
"""

import re
import shlex
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from seeds.files.rating_cells import MAX_TIME_CHARACTERS, is_date
from seeds.files.report import SourceError, shown
from seeds.titles import fold_case

USER, MOVIE, RATING, TIME = ROLES = ("user", "movie", "rating", "time")
MAX_COLUMNS = 1_000
MAX_LISTED = 40  # columns in a message
_RECBOLE_TYPE = re.compile(r":(token|float)(_seq)?$")
_ALIASES = {"item": MOVIE, "film": MOVIE, "timestamp": TIME, "date": TIME}


def plain_name(text: str) -> str:
    """Normalize a name: without case, punctuation and RecBole's suffix for the type."""
    text = _RECBOLE_TYPE.sub("", unicodedata.normalize("NFKC", text).strip().strip('"').strip())
    return "".join(char for char in fold_case(text) if char.isalnum())


_NAMES = {
    kind: tuple(map(plain_name, names.split()))
    for kind, names in tomllib.loads(
        files("seeds").joinpath("column_names.toml").read_text(encoding="utf-8")
    ).items()
}
_OTHERS = frozenset(_NAMES["other"])
_OPINIONS = frozenset(_NAMES["opinions"])
# Names of each role in order of precedence.
KNOWN: Mapping[str, Sequence[str]] = {
    USER: _NAMES["user"],
    MOVIE: _NAMES["movie"],
    RATING: (*_NAMES["stars"], *_NAMES["likes"]),
    TIME: _NAMES["time"],
}
# A column whose name has a word that begins or ends so may be a time, regardless of its values.
_LIKE_A_TIME = re.compile(
    r"(?<![a-z])(?:date|time|stamp|epoch|day|month|when|created|updated)"
    r"|(?:date|time|times|stamp|epoch|day|month|created|updated)(?![a-z])"
)
_CAMEL_CASE = re.compile("(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The option `--columns`: for a role the name or 1-based place of its column; "" if there is none."""

    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "ColumnNames":
        """Parse `user=..,movie=..,rating=..,time=..`. Raises ValueError with the rule that is broken."""
        names = "|".join((*ROLES, *_ALIASES))
        given: dict[str, str] = {}
        for part in re.split(rf",(?=\s*(?:{names})\s*=)", text):
            role, equals, name = part.partition("=")
            role = _ALIASES.get(role.strip().lower(), role.strip().lower())
            if role not in ROLES or not equals or role in given:
                raise ValueError(
                    f"{shown(part)!r} is not one of user=, movie=, rating=, time= with the name of a column, "
                    "or repeats a role"
                )
            given[role] = name.strip()
        for role in (USER, MOVIE):
            if given.get(role) == "":
                raise ValueError(f"{role}= needs the name of a column")
        if len({name for name in given.values() if name}) < sum(bool(name) for name in given.values()):
            raise ValueError("a column can have only one role")
        return cls(given)


@dataclass(frozen=True, slots=True)
class Columns:
    """0-based places of the columns by role, and the names of all columns."""

    order: dict[str, int]
    names: list[str]

    def name(self, role: str) -> str:
        return self.names[self.order[role]]


def is_of_likes(name: str) -> bool:
    """Whether a column of this name holds yes or no."""
    return plain_name(name) in _NAMES["likes"]


def recognized(names: Iterable[str]) -> int:
    """The number of names that are known for a role."""
    return sum(any(plain_name(name) in known for known in KNOWN.values()) for name in names)


def choose(
    file: object,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    wanted: Sequence[str],
    optional: frozenset[str],
    given: ColumnNames,
) -> tuple[Columns, list[str]]:
    """Choose the columns of the roles in `wanted`; return them and notes. rows: a sample of the table.

    Raises:
        SourceError: a role is missing or ambiguous, or an unrecognized column could have it.
    """
    if len(names) > MAX_COLUMNS:
        raise SourceError(f"{file}: more than {MAX_COLUMNS} columns")
    order: dict[str, int] = {}
    for role in wanted:
        at = _given(file, names, role, given) if role in given.given else _known(file, names, role, order)
        if at is not None:
            order[role] = at
    if missing := [role for role in wanted if role not in order and role not in optional]:
        raise SourceError(
            f"{file}: no column is recognized as the {' or the '.join(missing)}; there are {listed(names)}. "
            f"Name {'it' if len(missing) == 1 else 'them'}: --columns "
            + ",".join(f"{role}=NAME" for role in missing)
        )
    if twice := [name for name in {*order.values()} if list(order.values()).count(name) > 1]:
        raise SourceError(f"{file}: the column {shown(names[twice[0]])} has two roles in --columns")
    rest = [at for at in range(len(names)) if at not in order.values()]
    for role in (RATING, TIME):
        if role in wanted and role not in order and given.given.get(role) != "":
            _refuse_unknown(file, names, rows, rest, role)
    return Columns(order, list(names)), _notes(file, names, order, rest, wanted)


def listed(names: Sequence[str]) -> str:
    """List at most MAX_LISTED names for a message."""
    shortened = [shown(name, 60) or '""' for name in names[:MAX_LISTED]]
    return ", ".join(shortened) + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")


def _given(file: object, names: Sequence[str], role: str, given: ColumnNames) -> int | None:
    """The column that `--columns` names for the role."""
    name = given.given[role]
    if not name:
        return None
    for same in (str.strip, plain_name):
        found = [at for at, other in enumerate(names) if same(other) == same(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise SourceError(
                f"{file}: more than one column is named {shown(name)}; there are {listed(names)}"
            )
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    raise SourceError(f"{file}: no column {shown(name)} for the {role}; there are {listed(names)}")


def _known(file: object, names: Sequence[str], role: str, taken: Mapping[str, int]) -> int | None:
    """The column whose name has the highest precedence in the role."""
    plain = [plain_name(name) for name in names]
    found = [
        at
        for known in KNOWN[role]
        for at, name in enumerate(plain)
        if name == known and at not in taken.values()
    ]
    if not found:
        return None
    same = [at for at in found if plain[at] == plain[found[0]]]
    if role == RATING and plain[found[0]] in _NAMES["stars"]:
        same = [at for at in found if plain[at] in _NAMES["stars"]]
    if len(same) > 1:
        raise SourceError(
            f"{file}: more than one column could be the {role}: {listed([names[at] for at in same])}. "
            f"Name it: --columns {role}=NAME"
        )
    return found[0]


def _refuse_unknown(
    file: object, names: Sequence[str], rows: Sequence[Sequence[str]], rest: Sequence[int], role: str
) -> None:
    """Raise SourceError if an unrecognized column could have the role."""
    could = could_be_rating if role == RATING else could_be_time
    ignored = _OTHERS - _OPINIONS if role == RATING else _OTHERS
    doubtful = [
        names[at]
        for at in rest
        if plain_name(names[at]) not in ignored
        and not _is_index(names[at])
        and could(names[at], [row[at].strip() for row in rows if at < len(row)])
    ]
    if not doubtful:
        return
    without = "every row is then a like" if role == RATING else "times are then unknown"
    # A yes in a column of dislikes would be read as a like.
    named = [name for name in doubtful if not plain_name(name).startswith(("dislike", "down"))]
    option = shlex.quote(f"{role}={shown(named[0], 60)}") if named else f"{role}=NAME"
    raise SourceError(
        f"{file}: no column is recognized as the {role}, but {listed(doubtful)} could be it; "
        f"there are {listed(names)}. Name the {role}: --columns {option}; "
        f"if there is none: --columns {role}= ({without})"
    )


def _is_index(name: str) -> bool:
    """Whether it is the unnamed column of row numbers that pandas writes."""
    return not name.strip() or name.strip().lower().startswith("unnamed:")


def could_be_rating(_name: str, values: Sequence[str]) -> bool:
    """Whether a column has numbers, or few distinct short values."""
    filled = [value for value in values if value]
    if not filled:
        return True
    numbers = sum(_is_number(value) for value in filled)
    short = all(len(value) <= 24 for value in filled)  # noqa: PLR2004 - such as "strongly recommended"
    return 2 * numbers >= len(filled) or (short and len(set(filled)) <= max(10, len(filled) // 4))


def could_be_time(name: str, values: Sequence[str]) -> bool:
    """Whether a column has the name of a time, or mostly values that look like times."""
    filled = [value for value in values if value]
    words = _CAMEL_CASE.sub(" ", name).lower()
    return bool(_LIKE_A_TIME.search(words)) or (
        bool(filled) and 2 * sum(_looks_like_time(value) for value in filled) >= len(filled)
    )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


_MOMENT = re.compile(
    r"\d{9,19}(\.\d*)?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.{0,24}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.{0,24}"
    r"|.{0,8}(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.{0,28}",
    re.IGNORECASE,
)


def _looks_like_time(text: str) -> bool:
    """Whether a text is a date, also in a notation that is not read."""
    if len(text) > MAX_TIME_CHARACTERS:
        return False
    return _MOMENT.fullmatch(text) is not None or (not text.isdecimal() and is_date(text))


def _notes(
    file: object, names: Sequence[str], order: Mapping[str, int], rest: Sequence[int], wanted: Sequence[str]
) -> list[str]:
    usual = {USER: "userid", MOVIE: "movieid", RATING: "rating", TIME: "timestamp"}
    notes = []
    if any(plain_name(names[at]) != usual[role] for role, at in order.items()):
        roles = ", ".join(f"{role} is {shown(names[at], 60)}" for role, at in order.items())
        notes.append(f"{file}: {roles}")
    if rest and len(wanted) == len(ROLES):
        notes.append(f"{file}: not used: {listed([names[at] for at in rest])}")
    return notes
