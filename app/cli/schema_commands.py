"""Commands on the schema: the files that are made from it, and what it changes for clients."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app import console
from app.cli import release
from app.cli.release import CHANGELOG, RELEASED, RELEASED_SETTINGS
from schema import schema
from schema.breaking_changes import Changes, deprecation_faults
from schema.reference import reference

app = typer.Typer()


@app.command()
def export_schema(
    check: Annotated[bool, typer.Option(help="Only check that the files match the code.")] = False,
    path: Annotated[Path, typer.Option(help="The file for the SDL.")] = Path("schema/schema.graphql"),
    docs: Annotated[Path, typer.Option(help="The file for people to read.")] = Path("docs/api.md"),
) -> None:
    """Write the schema as SDL, and as a page of documentation."""
    sdl = schema.as_str() + "\n"
    for file, text in ((path, sdl), (docs, reference(sdl))):
        if not file.parent.is_dir():
            raise console.fail(f"There is no folder {file.parent} here: say --path and --docs.")
        if not check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            raise console.fail(f"{file} does not match the code: run `marquee export-schema`.")


@app.command()
def diff_schema(
    released: Annotated[Path, typer.Option(help="The SDL that clients were written for.")] = RELEASED,
    changelog: Annotated[Path, typer.Option(help="Names what breaks, under Unreleased.")] = CHANGELOG,
    settings: Annotated[Path, typer.Option(help="The settings of the release.")] = RELEASED_SETTINGS,
) -> None:
    """List what changed since the released schema; fail where that breaks clients without being named."""
    for file in (released, changelog, settings):
        if not file.is_file():
            raise console.fail(f"There is no {file} here: say --released, --changelog and --settings.")
    sdl = schema.as_str()
    changes = Changes.between(released.read_text(), sdl, datetime.now(UTC).date())
    for title, found in (
        ("Breaking", changes.breaking),
        ("Dangerous", changes.dangerous),
        ("Added", changes.added),
    ):
        if found:
            typer.echo("\n".join([f"{title}:", *(f"  {each}" for each in found)]))
    unnamed = changes.unnamed(changelog.read_text())
    faults = [
        *release.faults(
            changelog.read_text(),
            released.read_text(),
            sdl + "\n",
            settings.read_text(),
            release.settings_text(),
        ),
        *deprecation_faults(sdl),
        *changes.broken_promises,
        *(f"{changelog} must say under Unreleased: {change}" for change in unnamed),
    ]
    if faults:
        raise console.fail("\n".join(faults))
