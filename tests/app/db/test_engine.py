from typing import Any

import psycopg.conninfo
import pytest
from sqlalchemy import event, make_url, text

from app.db.engine import FAILOVER, create_engine, psycopg_url
from app.settings import Settings


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    "password", ["a%20password", "a password", "p%40ss%2Fw%25rd", "a+b", "%C3%A9t%C3%A9"]
)
def test_both_drivers_read_the_same_from_a_url(scheme: str, password: str) -> None:
    url = f"{scheme}://me:{password}@db.example:5433/films?host=%2Frun%2Fpostgres"
    expected = make_url(url)
    for found in (psycopg_url(url), psycopg_url(make_url(url).render_as_string(hide_password=False))):
        parsed = psycopg.conninfo.conninfo_to_dict(found)
        assert parsed["password"] == expected.password
        assert (parsed["user"], parsed["dbname"], parsed["port"]) == ("me", "films", "5433")
        assert parsed["host"] == "/run/postgres"


def test_several_hosts_get_the_parameters_of_a_failover_that_the_url_does_not_set() -> None:
    url = "postgres://me:p%40ss@one:5433,two:5434/films?connect_timeout=7&sslmode=require"
    found = psycopg.conninfo.conninfo_to_dict(psycopg_url(url))
    given = {"host": "one,two", "port": "5433,5434", "connect_timeout": "7", "sslmode": "require"}
    assert found == {**FAILOVER, **given, "user": "me", "password": "p@ss", "dbname": "films"}
    assert psycopg_url(psycopg_url(url)) == psycopg_url(url)
    assert "target_session_attrs" not in psycopg_url("postgresql://one/films")


@pytest.mark.anyio
async def test_a_connection_in_use_at_the_disposal_is_closed_after_its_use(settings: Settings) -> None:
    engine = create_engine(str(settings.database_url), settings)
    opened: list[Any] = []
    event.listen(engine.sync_engine, "connect", lambda connection, _: opened.append(connection))
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await engine.dispose()
        await connection.execute(text("SELECT 1"))
    (used,) = opened
    assert used.driver_connection.closed
