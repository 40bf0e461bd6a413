"""Dump the database to files and restore it: `marquee dump` and `marquee restore`."""

from pathlib import Path
from typing import Annotated

import typer

from app import console
from app.backup import dump as writing
from app.backup import restore as loading
from app.backup.contents import DumpParts
from app.backup.manifest import BackupError, Manifest
from app.cli.database import database
from app.cli.options import Json, show

app = typer.Typer()


@app.command()
def dump(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist.")],
    with_credentials: Annotated[
        bool,
        typer.Option(
            "--with-credentials",
            help="Also hashes of passwords and API keys, so that members can sign in.",
        ),
    ] = False,
    with_model: Annotated[bool, typer.Option("--with-model", help="Also the active model.")] = False,
    json: Json = False,
) -> None:
    """Write all data that is not derived to a folder, of one moment, while the service runs."""
    contents = DumpParts(credentials=with_credentials, model=with_model)
    with database() as (settings, url), console.progress("Dumping") as progress:
        try:
            manifest = writing.dump(url, settings.models, folder, contents, progress)
        except BackupError as error:
            raise console.fail(str(error)) from None
    report(manifest, f"The dump is in {folder}.", json=json)
    if not with_credentials:
        console.notice("It has no passwords: nobody can sign in after a restore. See --with-credentials.")


@app.command()
def restore(
    folder: Annotated[
        Path, typer.Argument(help="A folder that `marquee dump` made.", exists=True, file_okay=False)
    ],
    json: Json = False,
) -> None:
    """Load a dump of this or an earlier release into an empty database; all or nothing."""
    with database(migrated=False) as (settings, url), console.progress("Restoring") as progress:
        try:
            manifest = loading.restore(url, settings.models, folder, progress)
        except BackupError as error:
            raise console.fail(str(error)) from None
    report(manifest, f"{folder} is restored.", json=json)
    if manifest.model is None:
        console.notice("It has no model: run `marquee train`.")


def report(manifest: Manifest, done: str, *, json: bool) -> None:
    """Print the numbers of rows."""
    if json:
        show(manifest.model_dump(mode="json"), json=True)
        return
    for table in manifest.tables:
        typer.echo(f"{table.name}: {table.rows}")
    if manifest.model is not None:
        typer.echo(f"model: {manifest.model.version}")
    typer.echo(done)
