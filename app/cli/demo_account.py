"""The demo account of the embedded database: create it, or disable it if others can reach the service."""

import secrets

import psycopg

from app import console
from app.accounts import passwords, usernames
from app.accounts.demo import DEMO_PASSWORD, DEMO_USERNAME
from app.cli.demo_taste import give_taste

CREATE = """
INSERT INTO users (username, username_key, skeleton, skeleton_as_written, password_hash)
VALUES (%(username)s, %(username_key)s, %(skeleton)s, %(skeleton_as_written)s, %(password_hash)s)
ON CONFLICT DO NOTHING
"""
# An account of an earlier release has neither ratings nor events, unless it was used.
WITHOUT_TASTE = """
SELECT id FROM users WHERE lower(username) = %s
    AND NOT EXISTS (SELECT FROM ratings WHERE user_id = users.id)
    AND NOT EXISTS (SELECT FROM feedback WHERE user_id = users.id)
    AND NOT EXISTS (SELECT FROM favorite_genres WHERE user_id = users.id)
FOR UPDATE
"""


def open_account(database_url: str) -> None:
    """Create the demo account if it does not exist, and give it a taste if it has none."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT 1 FROM users WHERE lower(username) = %s", (DEMO_USERNAME,))
        if found.fetchone() is None:
            password_hash = passwords.HASHER.hash(DEMO_PASSWORD)
            connection.execute(CREATE, {**usernames.columns(DEMO_USERNAME), "password_hash": password_hash})
        row = connection.execute(WITHOUT_TASTE, (DEMO_USERNAME,)).fetchone()
        if row is not None:
            give_taste(connection, row[0])


def close(database_url: str) -> None:
    """Delete the demo account's sessions and replace its password, if that is still the public one."""
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
    console.notice("The demo account is disabled because others can reach this service.")
