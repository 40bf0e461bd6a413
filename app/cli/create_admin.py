"""Create an administrator: `marquee create-admin`."""

import asyncio
from typing import Annotated

import typer

from app import console
from app.accounts import admin, authentication
from app.cli.database import database
from app.cli.options import show
from app.db.engine import create_engine, sessionmaker
from app.settings import Settings

app = typer.Typer()


@app.command()
def create_admin(
    username: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ADMIN_PASSWORD")
    ],
) -> None:
    """Create an account with the role ADMIN, or grant the role to an existing account."""

    async def create(settings: Settings, url: str) -> None:
        engine = create_engine(url, settings)
        try:
            await admin.create_admin(sessionmaker(engine), username, password)
        finally:
            await engine.dispose()

    with database() as (settings, url):
        try:
            asyncio.run(create(settings, url))
        except authentication.AccountError as error:
            raise console.fail(str(error)) from None
    show(f"{username} is an administrator.", json=False)
