"""Prepare a database to serve: migrate, seed, train; open or close the demo account."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from app import console
from app.accounts import passwords, usernames
from app.db import migrations
from app.settings import Settings
from app.training import train
from seeds import bundled

DEMO_USERNAME = "demo"
DEMO_PASSWORD = "marquee-demo"  # noqa: S105 - an ordinary account of the embedded database, printed at each start


def prepare(settings: Settings, database_url: str) -> None:
    with step("Bringing the database to the newest revision"):
        migrations.upgrade(database_url)
    if is_empty(database_url):
        with step("Loading the bundled catalogue and its simulated members") as progress:
            bundled.load_bundled(database_url, progress)
    if not train.has_active_model(database_url, settings.models):
        with step("Training the first model") as progress:
            train.train(
                database_url,
                settings.models,
                progress,
                kept_models=settings.kept_models,
                settings=settings.training_settings,
                sentences=settings.sentence_model,
            )
    if settings.has_demo_account:
        make_demo_account(database_url)
        console.console.print(f"Demo account: {DEMO_USERNAME} / {DEMO_PASSWORD}")


@contextmanager
def step(title: str) -> Iterator[console.Progress]:
    console.announce(title)
    with console.progress(title) as progress:
        yield progress


def is_empty(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT 1 FROM movies LIMIT 1").fetchone() is None


def make_demo_account(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT 1 FROM users WHERE lower(username) = %s", (DEMO_USERNAME,))
        if found.fetchone() is None:
            connection.execute(
                "INSERT INTO users (username, username_key, skeleton, skeleton_as_written, password_hash) "
                "VALUES (%(username)s, %(username_key)s, %(skeleton)s, %(skeleton_as_written)s, "
                "%(password_hash)s) ON CONFLICT DO NOTHING",
                {**usernames.columns(DEMO_USERNAME), "password_hash": passwords.HASHER.hash(DEMO_PASSWORD)},
            )


def close_demo_account(database_url: str) -> None:
    """End the sessions of the demo account and replace its published password, if it still has that one."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT id, password_hash FROM users WHERE lower(username) = %s FOR UPDATE", (DEMO_USERNAME,)
        ).fetchone()
        if row is None or not passwords.HASHER.verify(DEMO_PASSWORD, row[1]):
            return
        connection.execute(
            "UPDATE users SET password_hash = %s WHERE id = %s",
            (passwords.HASHER.hash(secrets.token_urlsafe(32)), row[0]),
        )
        connection.execute("DELETE FROM sessions WHERE user_id = %s", (row[0],))
    console.console.print("The demo account is closed: others can reach this service.")
