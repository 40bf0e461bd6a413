"""Create an API key: `marquee create-key`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.accounts import api_keys
from app.accounts.api_keys import InvalidApiKey, Scope
from app.cli.database import audited
from app.cli.options import Json, show
from app.db.engine import Sessions
from app.settings import Settings

app = typer.Typer()


@app.command()
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scopes: Annotated[
        list[Scope] | None, typer.Option("--scope", help="A permission of the key; repeat it for several.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="The system whose members the key acts for; it implies the scope MEMBERS."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it expires.")] = None,
    json: Json = False,
) -> None:
    """Create an API key for a service and print it: it is shown only once."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    given = {*(scopes or ()), *((Scope.MEMBERS,) if source is not None else ())}

    async def create(sessions: Sessions, _: Settings) -> str:
        return (await api_keys.create(sessions, None, name, given, expires_at, source))[0]

    noted = {"name": name, "scopes": sorted(scope.value for scope in given), "source": source, "days": days}
    key = audited("createApiKey", noted, create, InvalidApiKey)
    show({"key": key} if json else key, json=json)
