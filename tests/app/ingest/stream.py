"""A small catalog, lines of a stream, and what is stored of them."""

import json
from typing import Any

from app.ingest.clean_events import Batch, Line, Stream
from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection

STREAM = Stream("test", "tv")


MOVIES = """
INSERT INTO movies (id, title, year, imdb_id, runtime_minutes) VALUES
    (1, 'Alien', 1979, 'tt0078748', 100), (2, 'The Matrix', 1999, NULL, 136), (3, 'Heat', 1995, NULL, NULL),
    (4, 'Twins', 2010, NULL, 90), (5, 'Twins', 2010, NULL, 90);
SELECT setval('movies_id_seq', 100);
"""


def rate(user: int, movie: str, stars: float, second: int = 0) -> str:
    return f"2025-02-15T01:49:{second:02},{user},GET /rate/{movie}={stars}"


def watch(user: int, movie: str, minute: int, second: int = 0) -> str:
    return f"2025-02-15T01:49:{second:02},{user},GET /data/m/{movie}/{minute}.mpg"


def event(kind: str, **fields: Any) -> str:
    usual = {"version": 1, "user": "u", "movie": {"imdbId": "tt0078748"}, "time": "2025-02-15T01:49:06Z"}
    return json.dumps(usual | {"kind": kind} | fields)


def put(store: Store, *lines: str, start: int = 0, partition: int = 0) -> dict[str, int]:
    """Store lines at the positions from `start` on. Returns the counts."""
    placed = [Line(partition, start + n, line.encode()) for n, line in enumerate(lines)]
    counts = store.store(STREAM, Batch(placed, {partition: start + len(lines)}))
    return {outcome: count for outcome, count in counts.items() if count}


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


RATINGS = """
SELECT source, external_id, movie_id, half_stars, to_char(rated_at, 'SS'), implicit
FROM ratings JOIN external_members USING (user_id) ORDER BY 1, 2, 3
"""


EVENTS = """
SELECT external_id, movie_id, kind, round(watched_fraction::numeric, 2)::float, position
FROM feedback JOIN external_members USING (user_id) ORDER BY external_id DESC, feedback.id
"""
LETTERS = "SELECT position, reason, raw_line, is_whole, external_id FROM dead_letters ORDER BY position"
