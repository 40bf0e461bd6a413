"""Serve the API: `marquee serve`."""

from typing import Annotated

import typer

from app.cli import demo_account
from app.cli.database import database
from app.main import run

app = typer.Typer()


@app.command()
def serve(
    prepare: Annotated[
        bool,
        typer.Option(
            help="First migrate, load the bundled catalog into an empty database, "
            "and train if there is no model."
        ),
    ] = False,
) -> None:
    """Serve the GraphQL API and GraphiQL."""
    with database(migrated=not prepare) as (settings, url):
        if prepare:
            from app.cli.prepare import prepare_database  # noqa: PLC0415 - loads the readers of data sets

            prepare_database(settings, url)
        if settings.database_url is None and not settings.has_demo_account:
            demo_account.close(url)
        run(settings, url)
