"""Commands on the schema: the files that are made from it."""

from pathlib import Path
from typing import Annotated

import typer

from app import terminal

schema_app = typer.Typer()


@schema_app.command()
def export_schema(
    check: Annotated[bool, typer.Option(help="Only tell whether the files are as the code says.")] = False,
    path: Annotated[Path, typer.Option(help="The file for the SDL.")] = Path("schema/schema.graphql"),
    docs: Annotated[Path, typer.Option(help="The file for people to read.")] = Path("docs/api.md"),
) -> None:
    """Write the schema as SDL, and as a page of documentation."""
    from schema import schema  # noqa: PLC0415 - brings GraphQL
    from schema.reference import reference  # noqa: PLC0415 - likewise

    sdl = schema.as_str() + "\n"
    for file, text in ((path, sdl), (docs, reference(sdl))):
        if not check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            raise terminal.fail(f"{file} is not what the code says: run `marquee export-schema`.")
