"""The demo account, and commands without write permission."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from app.accounts import passwords
from app.accounts.demo import DEMO_PASSWORD
from app.cli import demo_account
from app.cli.demo_taste import GENRES, RATINGS, WATCHED, WATCHLIST
from seeds.bundled import read_catalogue

ROOT = Path(__file__).parents[3]


def password_hash(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        ((found,),) = connection.execute("SELECT password_hash FROM users WHERE username = 'demo'")
    return str(found)


def test_closing_the_demo_account_ends_its_sessions_and_its_published_password(database_url: str) -> None:
    demo_account.open_account(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO sessions (id, user_id, expires_at) "
            "SELECT gen_random_uuid(), id, 'infinity' FROM users"
        )
    demo_account.close(database_url)
    assert not passwords.HASHER.verify(DEMO_PASSWORD, password_hash(database_url))
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


LIFE = """
SELECT (SELECT count(*) FROM ratings WHERE user_id = users.id),
    (SELECT count(*) FROM favorite_genres WHERE user_id = users.id),
    (SELECT count(*) FROM feedback WHERE user_id = users.id AND kind = 'WATCHLIST'),
    (SELECT count(*) FROM feedback WHERE user_id = users.id AND kind = 'WATCH')
FROM users WHERE username = 'demo'
"""


def test_the_demo_account_has_a_taste_once(seeded_database_url: str) -> None:
    bundled = {(entry.movie.title, entry.movie.year) for entry in read_catalogue()}
    named = [*((title, year) for title, year, _ in (*RATINGS, *WATCHED)), *WATCHLIST]
    assert set(named) <= bundled
    assert len(set(named)) == len(named)
    for _ in range(2):
        demo_account.open_account(seeded_database_url)
        with psycopg.connect(seeded_database_url) as connection:
            assert connection.execute(LIFE).fetchone() == (30, len(GENRES), len(WATCHLIST), len(WATCHED))
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("DELETE FROM ratings USING users WHERE user_id = id AND username = 'demo'")
    demo_account.open_account(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        assert (connection.execute(LIFE).fetchone() or ())[0] == 0


def test_a_demo_account_with_a_changed_password_is_kept(database_url: str) -> None:
    demo_account.open_account(database_url)
    own = passwords.HASHER.hash("a password of my own")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE users SET password_hash = %s", (own,))
    demo_account.close(database_url)
    assert password_hash(database_url) == own


def test_training_fails_in_one_line_where_no_model_can_be_written(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "s" * 32,
        "MODEL_DIR": str(tmp_path / "file" / "models"),
    }
    command = [sys.executable, "-c", "from app.cli.commands import main; main()", "train"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    hint = "Not a directory; set MODEL_DIR to a folder that can be written"
    assert done.stderr.strip().splitlines() == [f"{tmp_path}/file/models: {hint}"]
