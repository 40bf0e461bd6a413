import psycopg.conninfo
import pytest
from sqlalchemy import make_url

from app.db.engine import psycopg_url, sqlalchemy_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    "password", ["a%20password", "a password", "p%40ss%2Fw%25rd", "a+b", "%C3%A9t%C3%A9"]
)
def test_both_drivers_read_the_same_from_a_url(scheme: str, password: str) -> None:
    url = f"{scheme}://me:{password}@db.example:5433/films?host=%2Frun%2Fpostgres"
    expected = sqlalchemy_url(url)
    assert expected.drivername == "postgresql+psycopg"
    for found in (psycopg_url(url), psycopg_url(make_url(url).render_as_string(hide_password=False))):
        parsed = psycopg.conninfo.conninfo_to_dict(found)
        assert parsed["password"] == expected.password
        assert (parsed["user"], parsed["dbname"], parsed["port"]) == ("me", "films", "5433")
        assert parsed["host"] == "/run/postgres"
