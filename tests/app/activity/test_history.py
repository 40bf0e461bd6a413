"""The watchlist reads each event at most once."""

import json
from typing import Any

import psycopg
import pytest

from app.activity.history import WATCHLIST

EVENTS = 6_000
MOVIES = 500
FILL = """
    INSERT INTO movies (title) SELECT 'Movie ' || n FROM generate_series(1, %(movies)s) AS n;
    INSERT INTO users (username) VALUES ('ada');
    INSERT INTO feedback (user_id, movie_id, kind, watched_fraction, occurred_at)
    SELECT users.id, (SELECT min(id) FROM movies) + n * 7 %% %(movies)s, kind,
        CASE kind WHEN 'WATCH' THEN 0.95 END, now() - n * interval '1 minute'
    FROM users, generate_series(1, %(events)s) AS n,
        LATERAL (
            SELECT (ARRAY['IMPRESSION', 'WATCHLIST', 'WATCH', 'LIKE', 'DISLIKE'])[1 + n %% 5]
        ) AS it (kind);
"""


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The scans of the table of events, anywhere in a plan."""
    own = [plan] if plan.get("Relation Name") == "feedback" else []
    return own + [scan for part in plan.get("Plans", ()) for scan in scans(part)]


@pytest.mark.parametrize("behind", ["", "AND (added_at, movie_id) < (now(), 400)"])
def test_the_watchlist_reads_each_event_at_most_once(database_url: str, behind: str) -> None:
    statement = WATCHLIST.replace(":user_id", "(SELECT id FROM users)")
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(FILL, {"movies": MOVIES, "events": EVENTS})
        connection.execute("VACUUM ANALYZE")
        query = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement} {behind} ORDER BY added_at DESC LIMIT 25"
        row = connection.execute(query).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    found = scans(plan[0]["Plan"])
    assert found
    assert sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in found) <= EVENTS
