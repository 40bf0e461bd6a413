"""Breaking changes must be named in the changelog, and deprecations last as long as promised."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import release
from app.cli.schema_commands import app
from schema import schema
from schema.breaking_changes import Changes, deprecation_faults

TODAY = date(2027, 3, 1)
RELEASED = """
type Query { movie(id: ID!, year: Int = 1999): Movie, movies(first: Int!): [Movie!]! }
type Movie implements Named { name: String!, year: Int, stars: Float, mean: Float }
interface Named { name: String! }
type Show { name: String! }
union Found = Movie | Show
input Wish { genre: String }
enum Order { NAME YEAR }
directive @cost(weight: Int) on FIELD_DEFINITION
"""


def changed(was: str, becomes: str) -> Changes:
    assert was in RELEASED
    return Changes.between(RELEASED, RELEASED.replace(was, becomes), TODAY)


@pytest.mark.parametrize(
    ("was", "becomes", "change"),
    [
        (" stars: Float,", "", "Field Movie.stars was removed."),
        (
            "name: String!, year",
            "name: String, year",
            "Field Movie.name changed type from String! to String.",
        ),
        ("year: Int, stars", "year: String, stars", "Field Movie.year changed type from Int to String."),
        ("(id: ID!,", "(id: ID!, in: ID!,", "A required argument Query.movie(in:) was added."),
        (", year: Int = 1999", "", "Argument Query.movie(year:) was removed."),
        ("genre: String", "genre: String!", "Field Wish.genre changed type from String to String!."),
        ("genre: String", "genre: String, year: Int!", "A required field Wish.year was added."),
        ("NAME YEAR", "NAME", "Enum value Order.YEAR was removed."),
        ("Movie | Show", "Movie", "Show was removed from union type Found."),
        (" implements Named", "", "Movie no longer implements interface Named."),
        ("(weight: Int)", "", "Argument @cost(weight:) was removed."),
    ],
)
def test_what_breaks_clients_is_refused_until_the_changelog_names_it(
    was: str, becomes: str, change: str
) -> None:
    changes = changed(was, becomes)
    assert changes.breaking == [change]
    elsewhere = f"# Changelog\n\n## Unreleased\n\nNothing yet.\n\n## 0.1.0, 2026-11-21\n\n- {change}\n"
    assert changes.unnamed(elsewhere) == [change]
    assert changes.unnamed(elsewhere.replace("Nothing yet.", f"- `{change}` For a reason.")) == []


def test_additions_are_allowed_and_risky_changes_are_listed() -> None:
    more = changed("year: Int,", "year: Int, cast(first: Int! = 10): [String!]!,")
    assert more == Changes([], [], ["Movie.cast", "Movie.cast(first:)"], [])
    assert more.unnamed("") == []
    assert changed("NAME YEAR", "NAME YEAR STARS").dangerous == ["Enum value Order.STARS was added."]
    (change,) = changed("1999", "2000").dangerous
    assert change == "Query.movie(year:) has changed defaultValue from 1999 to 2000."


def test_a_deprecated_field_stays_for_the_promised_time() -> None:
    reason = "Use `Movie.name`. Deprecated on 2026-09-01, works until {} at least."
    for until, kept in (("2027-03-02", True), ("2027-03-01", False)):
        old = RELEASED.replace("year: Int,", f'year: Int @deprecated(reason: "{reason.format(until)}"),')
        changes = Changes.between(old, RELEASED.replace(" year: Int,", ""), TODAY)
        assert changes.breaking == ["Field Movie.year was removed."]
        promise = f"Movie.year works until {until} at least, as was promised."
        assert changes.broken_promises == ([promise] if kept else [])


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("Use `Movie.name`. Deprecated on 2026-09-01, works until 2027-02-28 at least.", None),
        ("Nothing replaces it. Deprecated on 2026-09-01, works until 2027-02-28 at least.", None),
        ("Use `Movie.name`. Deprecated on 2026-09-01, works until 2027-02-27 at least.", "180 days"),
        ("Use `Movie.rating`. Deprecated on 2026-09-01, works until 2027-02-28 at least.", "no Movie.rating"),
        ("Use `Movie.name`.", "must read"),
        ("No longer supported", "must read"),
    ],
)
@pytest.mark.parametrize("where", ["stars: Float", "NAME", "year: Int = 1999", "genre: String"])
def test_deprecations_name_the_replacement_and_the_date(where: str, reason: str, fault: str | None) -> None:
    faults = deprecation_faults(RELEASED.replace(where, f'{where} @deprecated(reason: "{reason}")'))
    assert faults == [] if fault is None else fault in faults[0]


def test_deprecations_of_the_schema_are_complete() -> None:
    assert deprecation_faults(schema.as_str()) == []


def test_the_command_refuses_unnamed_breaking_changes(tmp_path: Path) -> None:
    released, changelog = tmp_path / "released.graphql", tmp_path / "CHANGELOG.md"
    released.write_text(schema.as_str().replace("  originalTitle: String\n", "  originalTitle: String!\n"))
    change = "Field Movie.originalTitle changed type from String! to String."

    def run() -> Any:
        files = ["--released", str(released), "--changelog", str(changelog)]
        files += ["--settings", str(tmp_path / "settings.json")]
        return CliRunner().invoke(app, ["diff-schema", *files], env={"COLUMNS": "200"})

    text, settings = released.read_text(), release.settings_text()
    entry = f"\n\n## 1.0.0\n\n{release.sha256(text)} {release.sha256(settings)}\n"
    (tmp_path / "settings.json").write_text(settings)
    changelog.write_text(f"## Unreleased\n\n- A field.{entry}")
    refused = run()
    assert refused.exit_code == 1
    assert f"Breaking:\n  {change}" in refused.stdout
    assert f"must say under Unreleased: {change}" in " ".join(refused.output.split())
    changelog.write_text(f"## Unreleased\n\n- {change}{entry}")
    assert run().exit_code == 0
