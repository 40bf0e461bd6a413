"""What `make run` does before it serves: a database at the newest revision, with films, and with a model."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from app import migrate, passwords, terminal, training
from app.settings import Settings
from seeds import bundled

DEMO_USERNAME = "demo"
DEMO_PASSWORD = "marquee-demo"  # noqa: S105 - an ordinary account of the embedded database, printed at each start


def prepare(settings: Settings, database_url: str) -> None:
    with told("Bringing the database to the newest revision"):
        migrate.upgrade(database_url)
    if is_empty(database_url):
        with told("Loading the bundled catalogue and its simulated members") as progress:
            bundled.load_bundled(database_url, progress)
    if not training.has_active_model(database_url, settings.models):
        with told("Training the first model") as progress:
            training.train(
                database_url,
                settings.models,
                progress,
                kept_models=settings.kept_models,
                settings=settings.training_settings,
                sentences=settings.sentence_model,
            )
    if settings.database_url is None:
        make_demo_account(database_url)
        terminal.console.print(f"Demo account: {DEMO_USERNAME} / {DEMO_PASSWORD}")


@contextmanager
def told(title: str) -> Iterator[terminal.Progress]:
    terminal.announce(title)
    with terminal.progress(title) as progress:
        yield progress


def is_empty(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT 1 FROM movies LIMIT 1").fetchone() is None


def make_demo_account(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT 1 FROM users WHERE lower(username) = %s", (DEMO_USERNAME,))
        if found.fetchone() is None:
            connection.execute(
                "INSERT INTO users (username, password_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (DEMO_USERNAME, passwords.HASHER.hash(DEMO_PASSWORD)),
            )
