"""`marquee load` on a real database: csv, JSON lines and Parquet; twice changes nothing."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from app.cli.commands import app

MOVIES = """\
sku,Name,yr,tags,genre,studio,cast,tmdb
m1,The Salt Road,2025,desert|caravan,Drama|Adventure,Example,Ada One|Bo Two,
m2,The Salt Road Home,2026,desert,Drama,Example,,77
m3,,2026,,,,,
m4,Bad Year,17,,,,,
m1,Again,2001,,,,,
"""
COLUMNS = "title=Name,year=yr"
RATINGS = """\
customer_id,item,score,when
u1,m1,4.5,2025-02-15T01:49:06Z
u1,m2,3,2025-02-15T01:49:07Z
007,m1,5,2025-02-15T01:49:08Z
7,m1,1,2025-02-15T01:49:09Z
7,m1,2,2025-02-16T01:49:09Z
u2,never,4,2025-02-15T01:49:06Z
u2,m1,4.2,2025-02-15T01:49:06Z
u2,m2,oops,2025-02-15T01:49:06Z
"""
NAMED = "user=customer_id,movie=item,rating=score,time=when"
STORED = """
SELECT external_id, movies.title, half_stars FROM ratings JOIN external_members USING (user_id)
JOIN movies ON movies.id = movie_id WHERE source = %s ORDER BY external_id, movies.title
"""


@pytest.fixture(autouse=True)
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["load", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["load", *map(str, arguments)])
    assert result.exit_code != 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def movies(tmp_path: Path) -> Path:
    path = tmp_path / "movies.csv"
    path.write_text(MOVIES)
    return path


@pytest.fixture
def loaded(movies: Path) -> Path:
    run("movies", movies, "--columns", COLUMNS, "--attributes", "studio")
    return movies


def query(database_url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(statement.encode(), parameters).fetchall()


def test_movies_of_a_csv_file(movies: Path, database_url: str) -> None:
    first = run("movies", movies, "--columns", COLUMNS, "--attributes", "studio").stdout
    assert first.splitlines() == [
        "movies: 2 added, 0 updated, 0 unchanged",
        "1 rows not stored: title: a movie needs a title.",
        f"  {movies}, line 4: m3",
        f"1 rows not stored: year: it must be a year from 1870 to {datetime.now(UTC).year + 10}.",
        f"  {movies}, line 5: m4",
        "1 rows not stored: externalId: row 2 has the same id.",
        f"  {movies}, line 6: m1",
    ]
    ((title, year, keywords, attributes),) = query(
        database_url, "SELECT title, year, keywords, attributes FROM movies WHERE title = 'The Salt Road'"
    )
    assert (title, year, keywords) == ("The Salt Road", 2025, ["desert", "caravan"])
    assert attributes == {"studio": "Example"}
    again = run("movies", movies, "--columns", COLUMNS, "--attributes", "studio").stdout
    assert again.startswith("movies: 0 added, 0 updated, 2 unchanged\n")
    names = query(database_url, "SELECT name FROM genres ORDER BY name")
    assert names == [("Adventure",), ("Drama",)]


def test_movies_of_json_lines_and_parquet_are_the_same(tmp_path: Path, database_url: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": n,
            "title": f"Number {n}",
            "releaseDate": f"20{n:02}-05-01",
            "genres": ["Drama"],
            "attributes": {"tier": n},
            "runtimeMinutes": 90,
        }
        for n in range(10, 30)
    ]
    lines = tmp_path / "movies.jsonl.gz"
    lines.write_bytes(gzip.compress("\n".join([*map(json.dumps, rows), "[]"]).encode()))
    counts = json.loads(run("movies", lines, "--json").stdout)
    assert counts["films"] == {"added": 20, "updated": 0, "unchanged": 0}
    assert counts["skipped"]["not a JSON object"]["count"] == 1
    table = pa.Table.from_pylist([row | {"releaseDate": f"{row['releaseDate']}"} for row in rows])
    parquet.write_table(table, tmp_path / "movies.parquet")
    assert run("movies", tmp_path / "movies.parquet").stdout.startswith(
        "movies: 0 added, 0 updated, 20 unchanged\n"
    )
    assert query(database_url, "SELECT count(*), min(year), max(year) FROM movies") == [(20, 2010, 2029)]
    assert query(database_url, "SELECT count(*) FROM catalog_changes") == [(20,)]  # services read only these


@pytest.mark.usefixtures("loaded")
def test_ratings_of_the_users_of_a_source(tmp_path: Path, database_url: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(RATINGS)
    first = run("ratings", path, "--columns", NAMED).stdout.splitlines()
    assert first[:2] == [
        "members: 3 added, 0 updated, 0 unchanged",
        "ratings: 4 added, 0 updated, 0 unchanged",
    ]
    counted = [line for line in first if " rows " in line]
    assert counted == [
        "1 rows not stored: column score: is neither a number nor yes or no",
        "1 rows not stored: not a rating of the scale: 0.5 to 5 in halves, or 0 to 10 in whole numbers",
        "1 rows not stored: a rating of an unknown movie",
        "1 rows left out: the member rated the movie again later",
    ]
    assert f"  {path}, line 7: user u2, movie never" in first
    assert query(database_url, STORED, "own") == [
        ("007", "The Salt Road", 10),
        ("7", "The Salt Road", 4),
        ("u1", "The Salt Road", 9),
        ("u1", "The Salt Road Home", 6),
    ]
    stats = "SELECT rating_count, half_stars_sum FROM movie_stats ORDER BY rating_count"
    assert query(database_url, stats) == [(1, 6), (3, 23)]
    assert run("ratings", path, "--columns", NAMED).stdout.splitlines()[:2] == [
        "members: 0 added, 0 updated, 3 unchanged",
        "ratings: 0 added, 0 updated, 4 unchanged",
    ]
    sets = "SELECT version, movie_count, member_count, rating_count FROM dataset_versions"
    assert query(database_url, sets) == [("own", 2, 3, 4)]
    other = run("ratings", path, "--columns", NAMED, "--source", "own", "--json").stdout
    assert json.loads(other)["ratings"] == {"added": 0, "updated": 0, "unchanged": 4}
    assert query(database_url, stats) == [(1, 6), (3, 23)]


@pytest.mark.usefixtures("loaded")
def test_ratings_by_the_ids_of_a_site(tmp_path: Path, database_url: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user,movie,rating\nu1,77,4\nu2,78,4\n")
    shown = run("ratings", path, "--movie-ids", "tmdb", "--source", "shop").stdout
    assert "ratings: 1 added" in shown
    assert "2 ratings have no time; theirs is that of the file's last change" in " ".join(shown.split())
    assert query(database_url, STORED, "shop") == [("u1", "The Salt Road Home", 8)]
    assert "1 unchanged" in run("ratings", path, "--movie-ids", "tmdb", "--source", "shop").stdout


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("ratings", "scale", "half_stars"),
    [
        (["9", "3", "0"], "ten", [9, 3, 1]),
        (["yes", "no", "yes"], None, [10, 2, 10]),
        (["true", "false", "true"], None, [10, 2, 10]),
        (["1", "0", "1"], "likes", [10, 2, 10]),
        (["1", "1", "1"], "stars", [2, 2, 2]),
    ],
)
def test_scales(
    tmp_path: Path,
    database_url: str,
    ratings: list[str],
    scale: str | None,
    half_stars: list[int],
) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user,movie,rating\n" + "".join(f"u{n},m1,{each}\n" for n, each in enumerate(ratings)))
    run("ratings", path, *(["--scale", scale] if scale else []))
    assert [row[2] for row in query(database_url, STORED, "own")] == half_stars


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("user,movie,rating\nu1,m1,9\n", [], "has ratings up to 9. Name their scale: --scale ten"),
        ("user,movie,rating\nu1,m1,1\n", [], "has only 1. Name their scale: --scale likes, or --scale stars"),
        ("user,movie,rating\nu1,m1,yes\nu2,m1,4\n", [], "holds both numbers and yes or no"),
        ("user,movie\nu1,m1\n", [], "no column is recognized as the rating"),
        ("user,movie,rating\nu1,m1,4\n", ["--source", "other"], "no movie has an id of the source other"),
    ],
)
def test_what_is_not_clear_is_refused_and_nothing_is_stored(
    tmp_path: Path, database_url: str, text: str, options: list[str], message: str
) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    assert message in refused("ratings", path, *options)
    assert query(database_url, "SELECT count(*) FROM ratings") == [(0,)]
    assert query(database_url, "SELECT count(*) FROM external_members") == [(0,)]


@pytest.mark.usefixtures("loaded")
def test_events_of_csv_and_json_lines(tmp_path: Path, database_url: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "userId,sku,event,ts,progress\n"
        "u1,m1,WATCH,2025-02-15 01:49:06,0.95\n"
        "u1,m2,click,1739584146,\n"
        "u1,never,click,1739584146,\n"
        "u2,m1,dance,1739584146,\n"
    )
    shown = run("events", path, "--columns", "time=ts").stdout.splitlines()
    assert shown[0] == "events: 2 stored, 0 repeated"
    assert "1 rows not stored: UNKNOWN_MOVIE: No movie has its id in the source own." in shown
    assert any(line.startswith(f"  {path}, line 4: ") for line in shown)
    assert run("events", path, "--columns", "time=ts").stdout == "events: 0 stored, 0 repeated\n"
    kinds = "SELECT kind, watched_fraction FROM feedback ORDER BY kind"
    assert query(database_url, kinds) == [("CLICK", None), ("WATCH", pytest.approx(0.95))]
    assert query(database_url, STORED, "own") == [("u1", "The Salt Road", 8)]  # a finished movie
    lines = tmp_path / "events.jsonl"
    whole = {"version": 1, "kind": "rating", "user": "u1", "movie": {"externalId": "m2"}, "value": 4.5}
    flat = {"kind": "like", "user": "u1", "movie": "m2", "time": 1739584146000}
    lines.write_text("\n".join(json.dumps(row) for row in (whole | {"time": "2025-02-15T01:49:06Z"}, flat)))
    assert run("events", lines).stdout == "events: 2 stored, 0 repeated\n"
    assert query(database_url, STORED, "own")[1] == ("u1", "The Salt Road Home", 9)


def test_a_column_that_is_missing_is_named(movies: Path) -> None:
    assert "no column is recognized as the title" not in refused("movies", movies, "--columns", "id=nothing")
    assert "no column nothing" in refused("movies", movies, "--columns", "id=nothing")
    assert "is not one of id, title" in refused("movies", movies, "--columns", "what=Name")
    assert "lower-case" in refused("movies", movies, "--source", "My Shop")
