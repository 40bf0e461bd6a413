"""Databases with rows in every table of a dump, and what they have."""

from typing import Any

import psycopg

# Each table of a dump gets a row; those of the bundled catalog have many.
FILL = """
INSERT INTO users (username, password_hash, role) VALUES ('anna', 'a hash', 'ADMIN');
INSERT INTO users (username) VALUES ('gone');
DELETE FROM users WHERE username = 'gone';
INSERT INTO movie_titles (movie_id, title, source)
    SELECT id, E'Títle "\\\\ \\n ' || chr(1), 'TMDB' FROM movies LIMIT 3;
INSERT INTO movie_external_ids (source, external_id, movie_id) SELECT 'shop', 'm-1', min(id) FROM movies;
INSERT INTO merged_visitors (user_id, visitor_id) SELECT max(id), 'v-1' FROM users;
INSERT INTO list_preferences (user_id, genre_id, direction)
    SELECT (SELECT max(id) FROM users), min(id), 'MORE' FROM genres;
INSERT INTO promotions (kind, movie_id, starts_at, ends_at)
    SELECT 'PIN', min(id), '2026-01-01', '2026-02-01' FROM movies;
INSERT INTO favorite_genres SELECT (SELECT max(id) FROM users), id, 1 FROM genres LIMIT 1;
INSERT INTO external_members (source, external_id, user_id) SELECT 'shop', 'one', max(id) FROM users;
INSERT INTO feedback (user_id, movie_id, kind, watched_fraction, occurred_at, idempotency_key)
    SELECT users.id, movies.id, (
        ARRAY['WATCH', 'LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCHLIST', 'IMPRESSION']
    )[1 + (users.id * 7 + movies.id) % 6], 1 / (1 + movies.id % 3)::real,
    '2026-01-01 12:00:00.123456+00', movies.id
    FROM (SELECT id FROM users ORDER BY id LIMIT 200) AS users
    CROSS JOIN (SELECT id FROM movies ORDER BY id LIMIT 40) AS movies;
INSERT INTO experiments (name, salt, layer, slice_from, slice_to, roles, starts_at, ends_at, report)
    VALUES ('one', 's', 'l', 0, 0.3333333333333333, '{USER}', now(), 'infinity', '{"a": [1.5, null]}');
INSERT INTO experiment_arms (experiment_id, position, name, share) SELECT id, 0, 'base', 1 FROM experiments;
INSERT INTO stream_positions (stream, partition, next_position) VALUES ('kafka', 0, 9007199254740993);
INSERT INTO stream_counts (stream, outcome, events) VALUES ('kafka', 'STORED', 1);
INSERT INTO dead_letters (stream, partition, position, reason, rule, raw_line, is_whole, default_source)
    VALUES ('kafka', 0, 1, 'MOVIE', 'r', E'{"a":\t"\\\\"}', true, 'shop');
INSERT INTO api_keys (key_hash, beginning, name, scopes) VALUES ('\\x00ff', 'mq_', 'key', '{READ,ADMIN}');
INSERT INTO member_batches (api_key_id, idempotency_key, checksum, outcome)
    SELECT max(id), 'k', '\\x01', '{"a": 1}' FROM api_keys;
INSERT INTO audit_log (user_id, api_key_id, act, arguments)
    SELECT max(users.id), max(api_keys.id), 'act', '{"b": 1}' FROM users, api_keys;
INSERT INTO known_networks (user_id, network) SELECT max(id), '10.0.0.0/8' FROM users;
INSERT INTO sessions (id, user_id, expires_at) SELECT gen_random_uuid(), max(id), 'infinity' FROM users;
INSERT INTO refresh_tokens (token_hash, session_id) SELECT '\\x01', id FROM sessions;
"""


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def checksums(url: str, tables: list[str]) -> dict[str, tuple[int, str]]:
    """The number and a checksum of the rows of each table, in any order."""
    query = (
        "SELECT count(*), md5(string_agg(line, E'\n' ORDER BY line)) "
        "FROM (SELECT t::text AS line FROM {} AS t)"
    )
    return {table: rows(url, query.replace("{}", table))[0] for table in tables}
