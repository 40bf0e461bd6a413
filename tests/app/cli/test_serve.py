"""What `marquee serve` reports before it migrates and trains, and databases that are not ready yet."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner, Result

from app.cli import database
from app.cli.commands import app
from app.cli.prepare import prepare_database
from app.settings import Settings

SECRET = "a secret of the tests, long enough"


def serve(*arguments: str, **environment: str) -> Result:
    """Run `marquee serve --prepare`, which is expected to fail."""
    return CliRunner().invoke(
        app,
        ["serve", "--prepare", *arguments],
        env={"SECRET_KEY": SECRET, "PORT": "0", "COLUMNS": "200", **environment},
    )


def test_wrong_settings_and_ports_are_reported_before_the_database_is_touched(
    empty_database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "documents.json").write_text('{"one": "{ noSuchField }"}')
    (tmp_path / "settings.toml").write_text("factors = 0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cases: list[tuple[list[str], dict[str, str], str]] = [
            (["--port", port], {}, f"PORT {port} of HOST 127.0.0.1 cannot be opened"),
            (["--host", "no.host.invalid"], {}, "of HOST no.host.invalid cannot be opened"),
            ([], {"METRICS_PORT": port}, f"METRICS_PORT {port}"),
            ([], {"TRUSTED_DOCUMENTS": str(tmp_path / "documents.json")}, "noSuchField"),
            ([], {"TRAINING_SETTINGS": str(tmp_path / "settings.toml")}, "TRAINING_SETTINGS: "),
            (["--port", "70000"], {}, "PORT: "),
        ]
        for arguments, environment, expected in cases:
            ended = serve(*arguments, DATABASE_URL=empty_database_url, **environment)
            assert ended.exit_code in (1, 2), ended.output
            assert isinstance(ended.exception, SystemExit)
            assert expected in " ".join(ended.output.split())
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('movies')").fetchone() == (None,)


def test_no_simulated_members_are_loaded_into_the_database_of_others(
    empty_database_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.model_validate(
        {"database_url": empty_database_url, "secret_key": SECRET, "model_dir": tmp_path}
    )
    prepare_database(settings, empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute(
            "SELECT (SELECT count(*) FROM movies), (SELECT count(*) FROM users)"
        ).fetchone() == (0, 0)
    assert "marquee seed" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


REFUSALS = ("the database system is starting up", "the database system is not yet accepting connections")


def refusal(message: str) -> bytes:
    """An ErrorResponse of the Postgres protocol, as a server sends while it recovers."""
    fields = b"".join(
        kind + value.encode() + bytes(1)
        for kind, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", "57P03"), (b"M", message))
    )
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + bytes(1)


@contextmanager
def recovering(database_url: str) -> Iterator[str]:
    """The address of a server that refuses two clients and then passes them on to the real one."""
    host = make_url(database_url).query["host"]

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while received := source.recv(1 << 16):
                target.sendall(received)
            target.shutdown(socket.SHUT_WR)

    def answer() -> None:
        for message in REFUSALS:
            client, _ = listening.accept()
            with client:
                while int.from_bytes((asked := client.recv(1000))[4:8], "big") in (80877103, 80877104):
                    client.sendall(b"N")  # neither TLS nor GSSAPI
                assert asked
                client.sendall(refusal(message))
        client, _ = listening.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(f"{host}/.s.PGSQL.5432")
            back = threading.Thread(target=pump, args=(server, client))
            back.start()
            pump(client, server)
            back.join()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        port = listening.getsockname()[1]
        yield make_url(database_url).set(host="127.0.0.1", port=port, query={}).render_as_string(False)
        thread.join()


def test_a_command_waits_for_a_database_that_recovers(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if not str(make_url(database_url).query.get("host", "")).startswith("/"):
        pytest.skip("the server has no Unix socket")
    monkeypatch.setattr(database, "STARTING_POLL_SECONDS", 0.01)
    with recovering(database_url) as address:
        database.wait_while_starting(address)
    assert [record.message for record in caplog.records] == [
        "the database is starting; waiting up to 300 s for it"
    ]


def test_the_wait_for_a_database_is_bounded(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "STARTING_SECONDS", -1)
    with recovering(database_url) as address:
        for _ in REFUSALS:
            with pytest.raises(psycopg.OperationalError, match="database system"):
                database.wait_while_starting(address)
        database.wait_while_starting(address)
