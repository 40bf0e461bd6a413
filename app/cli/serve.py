"""Serve the API: `marquee serve`."""

from typing import Annotated

import typer

from app.cli import demo_account
from app.cli.database import database, read_settings
from app.main import open_service, run

app = typer.Typer()


@app.command()
def serve(
    prepare: Annotated[
        bool,
        typer.Option(
            help="First migrate, load the bundled catalog into an embedded database that is empty, "
            "and train if there is no model."
        ),
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default `HOST`.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default `PORT`.")] = None,
) -> None:
    """Serve the GraphQL API and GraphiQL."""
    settings = read_settings(host=host, port=port)
    if prepare:
        from app.cli.prepare import check_training, prepare_database  # noqa: PLC0415 - loads the readers of data

        check_training(settings)
    opened = open_service(settings)
    with database(migrated=not prepare, settings=settings) as (complete, url):
        if prepare:
            prepare_database(complete, url)
        if complete.database_url is None and not complete.has_demo_account:
            demo_account.close(url)
        run(complete, url, opened)
