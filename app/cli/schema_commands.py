"""Schema commands: generate files from the schema, and compare it with the released one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from graphql import GraphQLError, OperationDefinitionNode, parse, validate

from app import console
from app.cli import release
from app.cli.release import CHANGELOG, RELEASED, RELEASED_SETTINGS
from schema import schema
from schema.breaking_changes import Changes, deprecation_faults
from schema.execution.compiled.compiler import explained
from schema.reference import reference

app = typer.Typer()


@app.command()
def export_schema(
    check: Annotated[bool, typer.Option(help="Only check that the files match the code.")] = False,
    path: Annotated[Path, typer.Option(help="The file for the SDL.")] = Path("schema/schema.graphql"),
    docs: Annotated[Path, typer.Option(help="The file for the reference.")] = Path("docs/api.md"),
) -> None:
    """Write the schema as SDL and as a page of documentation."""
    sdl = schema.as_str() + "\n"
    for file, text in ((path, sdl), (docs, reference(sdl))):
        if not file.parent.is_dir():
            raise console.fail(f"There is no folder {file.parent} here: use --path and --docs.")
        if not check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            raise console.fail(f"{file} does not match the code: run `marquee export-schema`.")


@app.command()
def diff_schema(
    released: Annotated[Path, typer.Option(help="The SDL of the last release.")] = RELEASED,
    changelog: Annotated[Path, typer.Option(help="Names breaking changes under Unreleased.")] = CHANGELOG,
    settings: Annotated[Path, typer.Option(help="The settings of the release.")] = RELEASED_SETTINGS,
) -> None:
    """List the changes since the released schema; fail if the changelog does not name a breaking one."""
    for file in (released, changelog, settings):
        if not file.is_file():
            raise console.fail(f"There is no {file} here: use --released, --changelog and --settings.")
    sdl = schema.as_str()
    changes = Changes.between(released.read_text(), sdl, datetime.now(UTC).date())
    for title, lines in (
        ("Breaking", changes.breaking),
        ("Dangerous", changes.dangerous),
        ("Added", changes.added),
    ):
        if lines:
            typer.echo("\n".join([f"{title}:", *(f"  {line}" for line in lines)]))
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


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A file with one GraphQL document.")],
    operation: Annotated[str | None, typer.Option(help="The operation, if the document has several.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A variable of @skip or @include that is false; others are true.")
    ] = None,
) -> None:
    """Print the Python function that executes an operation, or the reason why graphql-core does."""
    try:
        document = parse(file.read_text())
    except (OSError, GraphQLError) as error:
        raise console.fail(str(error)) from None
    if errors := validate(schema._schema, document):  # noqa: SLF001 - graphql-core's
        raise console.fail("\n".join(error.message for error in errors))
    names = [
        node.name.value if node.name else None
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    if operation is None and len(names) > 1:
        raise console.fail(f"The document has several operations: name one with --operation: {names}.")
    if operation is not None and operation not in names:
        raise console.fail(f"The document has no operation {operation}: it has {names}.")
    typer.echo(explained(schema._schema, document, operation, without or []))  # noqa: SLF001 - as above
