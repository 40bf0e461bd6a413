"""Migrate the database: `marquee migrate`."""

import typer
from sqlalchemy.exc import OperationalError

from app import console
from app.cli.database import database
from app.cli.options import Json, show
from app.db import migrations

app = typer.Typer()


@app.command()
def migrate(json: Json = False) -> None:
    """Migrate the database to the newest revision; processes of the previous release go on serving."""
    with database(migrated=False) as (_, url):
        before = migrations.revision_of(url)
        try:
            migrations.upgrade(url)
        except OperationalError as error:
            raise console.fail(
                f"The database is not migrated: {error.orig}Run the command again; what was migrated stays."
            ) from None
        after = migrations.revision_of(url)
    done = f"The database is at revision {after}, as before."
    if after is not None and not migrations.is_known(after):
        done = f"The database is at revision {after}, of a later release. This release can serve it as it is."
    if before != after:
        done = f"The database is migrated from {before or 'no tables'} to revision {after}."
    show({"before": before, "after": after} if json else done, json=json)
