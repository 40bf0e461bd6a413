"""Recognize the columns of a table by their names, or by `--columns`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seeds.files.column_roles import listed, plain_name
from seeds.files.report import SourceError, shown

MAX_LAYOUTS = 1_000  # of JSON objects, each with other names, that are kept


@dataclass(slots=True)
class NamedColumns:
    """The roles of columns.

    known: names of each role in order of precedence, without case and punctuation. needed: roles that a table
    must have. given: by role, of `--columns`. further: columns that are wanted beside the roles.
    """

    known: Mapping[str, Sequence[str]]
    needed: Sequence[str]
    given: Mapping[str, str] = field(default_factory=dict)
    further: tuple[str, ...] = ()
    layouts: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def name(self, columns: str, further: str = "") -> "NamedColumns":
        """Parse `role=column,role=column`, and `column,column`. Raises ValueError with the broken rule."""
        roles = {plain: role for role, names in self.known.items() for plain in (plain_name(role), names[0])}
        given: dict[str, str] = {}
        for part in filter(str.strip, re.split(r",(?=\s*\w+\s*=)", columns)):
            name, equals, column = part.partition("=")
            role = roles.get(plain_name(name), "")
            if not role or not equals or not column.strip() or role in given:
                listed_roles = ", ".join(names[0] for names in self.known.values())
                raise ValueError(
                    f"{shown(part)!r} is not one of {listed_roles} with the name of a column, or repeats one"
                )
            given[role] = column.strip()
        more = tuple(name.strip() for name in further.split(",") if name.strip())
        return NamedColumns(self.known, self.needed, given, more)

    def layout(self, columns: Sequence[str]) -> dict[str, str]:
        """The column of each role."""
        key = tuple(columns)
        found = self.layouts.get(key)
        if found is None:
            if len(self.layouts) >= MAX_LAYOUTS:
                self.layouts.clear()
            found = self.layouts[key] = self._layout(key)
        return found

    def _layout(self, columns: Sequence[str]) -> dict[str, str]:
        found = {role: name for role, name in self.given.items() if name in columns}
        taken = {*self.given.values(), *self.further}
        plain = {plain_name(name): name for name in reversed(columns) if name not in taken}
        for role, names in self.known.items():
            name = next((plain[each] for each in names if each in plain), None)
            if role not in self.given and name is not None:
                found[role] = name
        return found

    def check(self, file: object, columns: Sequence[str]) -> list[str]:
        """Return a note on columns that are not used. Raises SourceError if a column is missing."""
        if missing := [name for name in (*self.given.values(), *self.further) if name not in columns]:
            raise SourceError(f"{file}: no column {shown(missing[0])}; there are {listed(columns)}")
        layout = self.layout(columns)
        if absent := [self.known[role][0] for role in self.needed if role not in layout]:
            raise SourceError(
                f"{file}: no column is recognized as the {absent[0]}; there are {listed(columns)}. Name it: "
                f"--columns {absent[0]}=NAME"
            )
        rest = [name for name in columns if name not in layout.values() and name not in self.further]
        return [f"{file}: not used: {listed(rest)}"] if rest else []
