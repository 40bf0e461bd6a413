"""Breaking changes of the schema since the release, and the notice periods of deprecations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
)

NOTICE = timedelta(days=180)
REASON = re.compile(
    r"(Use `(?P<instead>[^`]+)`|Nothing replaces it)\. "
    r"Deprecated on (?P<since>\d{4}-\d\d-\d\d), works until (?P<until>\d{4}-\d\d-\d\d) at least\."
)


@dataclass(frozen=True, slots=True)
class Changes:
    """`breaking` ones break some clients' documents, `dangerous` ones may change what documents do."""

    breaking: list[str]
    dangerous: list[str]
    added: list[str]
    broken_promises: list[str]

    @classmethod
    def between(cls, released: str, current: str, today: date) -> "Changes":
        """Compare an SDL with the released one, for clients of the release."""
        old, new = build_schema(released), build_schema(current)
        was, is_ = dict(elements(old)), dict(elements(new))
        return cls(
            [change.description for change in find_breaking_changes(old, new)],
            [change.description for change in find_dangerous_changes(old, new)],
            [coordinate for coordinate in is_ if coordinate not in was],
            [
                f"{coordinate} works until {until} at least, as was promised."
                for coordinate, element in was.items()
                if coordinate not in is_ and (until := promised(element)) is not None and until > today
            ],
        )

    def unnamed(self, changelog: str) -> list[str]:
        """The breaking changes that the changelog does not name word for word under Unreleased."""
        named = words(unreleased(changelog))
        return [change for change in self.breaking if words(change) not in named]


def unreleased(changelog: str) -> str:
    """The entry of the changelog under Unreleased; "" without one."""
    entry = re.search(r"^## Unreleased$(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return entry[1] if entry else ""


def words(text: str) -> str:
    """The text without Markdown's markup."""
    return " ".join(text.replace("`", "").split())


def elements(schema: GraphQLSchema) -> Iterator[tuple[str, Any]]:
    """The elements of a schema by coordinate: `Movie`, `Movie.cast`, `Movie.cast(first:)`, `@cost`."""
    for type_ in schema.type_map.values():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        yield type_.name, type_
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{type_.name}.{name}", value) for name, value in type_.values.items())
        for name, field in getattr(type_, "fields", {}).items():
            yield f"{type_.name}.{name}", field
            yield from arguments(f"{type_.name}.{name}", field)
    for directive in schema.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive
            yield from arguments(f"@{directive.name}", directive)


def arguments(coordinate: str, of: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"{coordinate}({name}:)", argument) for name, argument in getattr(of, "args", {}).items())


def promised(element: Any) -> date | None:
    """The last day on which a deprecated element is guaranteed to work."""
    reason = REASON.fullmatch(getattr(element, "deprecation_reason", None) or "")
    return None if reason is None else date.fromisoformat(reason["until"])


def deprecation_faults(sdl: str) -> list[str]:
    """The faults of deprecations: no replacement named, or too short a notice."""
    known = dict(elements(build_schema(sdl)))
    faults = []
    for coordinate, element in known.items():
        text = getattr(element, "deprecation_reason", None)
        if text is None:
            continue
        reason = REASON.fullmatch(text)
        if reason is None:
            faults.append(f"{coordinate}: the reason must read `{REASON.pattern}`.")
        elif reason["instead"] is not None and reason["instead"] not in known:
            faults.append(f"{coordinate}: there is no {reason['instead']} to use instead.")
        elif date.fromisoformat(reason["until"]) - date.fromisoformat(reason["since"]) < NOTICE:
            faults.append(f"{coordinate}: must work for {NOTICE.days} days after its deprecation.")
    return faults
