"""Create an administrator: `marquee create-admin`."""

from typing import Annotated

import typer

from app import console
from app.accounts import admin, authentication
from app.cli.database import with_sessions
from app.cli.options import show
from app.db.engine import Sessions
from app.settings import Settings
from app.settings.secret_files import read_secret

app = typer.Typer()


@app.command()
def create_admin(
    username: str,
    password: Annotated[
        str | None,
        typer.Option(
            help="Default: `ADMIN_PASSWORD`, or the content of the file `ADMIN_PASSWORD_FILE`.",
            envvar="ADMIN_PASSWORD",
        ),
    ] = None,
) -> None:
    """Create an account with the role ADMIN, or grant the role to an existing account."""

    chosen = password or password_of_file()
    if chosen is None:
        chosen = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))

    async def create(sessions: Sessions, _: Settings) -> None:
        await admin.create_admin(sessions, username, chosen)

    with_sessions(create, authentication.AccountError)
    show(f"{username} is an administrator.", json=False)


def password_of_file() -> str | None:
    """The password in `ADMIN_PASSWORD_FILE`; None if the variable is unset."""
    try:
        return read_secret("ADMIN_PASSWORD")
    except ValueError as error:
        raise console.fail(str(error)) from None
