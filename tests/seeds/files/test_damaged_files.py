"""Small valid files with each cell in turn made into junk: loaded with a note, or one clear line."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from app.offline import rating_files
from app.offline.rating_files import Reading
from seeds.files.report import SourceError, quiet
from seeds.movielens import load_movielens
from seeds.tmdb import load_tmdb
from tests.seeds.conftest import query
from tests.seeds.test_tmdb import CAST, CREW, MATRIX

JUNK = {
    "words": "junk", "empty": "", "blank": "   ", "huge": "x" * 1_200_000, "huge words": "ab cd " * 200_000,
    "nul": "a\0b", "quote": 'a"b', "open": '"', "controls": "\x1b[2J\x07\x9b31m", "minus": "-1",
    "large": "9" * 30, "infinite": "inf", "huge number": "1e400", "nan": "nan", "date": "1999-13-45",
    "truth": "True", "list": "[1, 2]", "object": "{'name': 5}", "open list": "[{'name': ",
    "deep": "[" * 9_000,
    "escapes": '[{"name": "\\u0000\\ud800", "job": "Director", "order": 1e999, "iso_3166_1": "x"}]',
    "wrong types": '[{"name": ["a"], "character": {}, "order": "first", "job": "Director", "id": []}]',
    "comma": "a, 1, b", "surrogate": "a\udc80b", "emoji": "\U0001f3ac", "separator": "a\u2028b",
}  # fmt: skip


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    path.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))


def is_printable(report: Any) -> bool:
    reasons = {**report.skipped, **report.set_aside}
    samples = [sample.text for entry in reasons.values() for sample in entry.samples]
    return all(text.isprintable() for text in (*reasons, *samples, *report.notes))


def outcome(file: Path, reading: Reading) -> tuple[int, str]:
    """The number of rows read, and the message of a refusal."""
    try:
        return len(rating_files.read_ratings(file, quiet, reading=reading)[0]), ""
    except SourceError as error:
        return 0, str(error)


def test_no_cell_of_tmdb_breaks_a_load(database_url: str, tmp_path: Path) -> None:
    header = [*MATRIX, "keywords", "director", "release_year"]
    valid = {**MATRIX, "keywords": "[{'id': 1, 'name': 'hacker'}]", "director": "", "release_year": "1999"}
    rows = [list(valid.values())]
    for number, (column, junk) in enumerate((c, j) for c in header for j in JUNK.values()):
        damaged = {**valid, "id": str(10_000 + number), "imdb_id": "", "title": f"Movie {number}"}
        rows.append(list({**damaged, column: junk}.values()))
    write(tmp_path / "movies_metadata.csv", header, rows)
    casts = [[junk, CREW, str(10_000 + number)] for number, junk in enumerate(JUNK.values())]
    crews = [[CAST, junk, str(10_100 + number)] for number, junk in enumerate(JUNK.values())]
    ids = [[CAST, CREW, junk] for junk in JUNK.values()]
    write(tmp_path / "credits.csv", ["cast", "crew", "id"], [[CAST, CREW, "603"], *casts, *crews, *ids])
    write(
        tmp_path / "keywords.csv", ["id", "keywords"], [["603", "[]"]] + [["10001", j] for j in JUNK.values()]
    )
    report = load_tmdb(database_url, tmp_path)
    assert is_printable(report)
    assert report.movies.added > len(rows) / 2
    assert query(database_url, "SELECT title, year, runtime_minutes FROM movies WHERE tmdb_id = 603") == [
        ("The Matrix", 1999, 136)
    ]
    assert query(database_url, "SELECT count(*) FROM movies WHERE title ~ '[[:cntrl:]]'") == [(0,)]


def test_no_cell_of_movielens_breaks_a_load(database_url: str, tmp_path: Path) -> None:
    movies, links = [["1", "Heat (1995)", "Crime"]], [["1", "0113277", "949"]]
    ratings = [["1", "1", "4.5", "964982703"]]
    for number, (at, junk) in enumerate((at, junk) for at in range(4) for junk in JUNK.values()):
        movie_id, user = str(100 + number), str(2 + number)
        movie = [movie_id, f"Movie {number} (1990)", "Drama"]
        link = [movie_id, str(5_000_000 + number), str(70_000 + number)]
        rating = [user, "1", "3.0", "964982703"]
        for row in (movie, link, rating):
            row[at : at + 1] = [junk][: len(row[at : at + 1])]
        movies.append(movie)
        links.append(link)
        ratings.append(rating)
    write(tmp_path / "movies.csv", ["movieId", "title", "genres"], movies)
    write(tmp_path / "links.csv", ["movieId", "imdbId", "tmdbId"], links)
    write(tmp_path / "ratings.csv", ["userId", "movieId", "rating", "timestamp"], ratings)
    report = load_movielens(database_url, tmp_path)
    assert is_printable(report)
    assert report.movies.added >= len(JUNK)
    heat = (
        "SELECT half_stars FROM ratings JOIN movies ON movies.id = movie_id JOIN users ON users.id = user_id "
    )
    assert query(database_url, heat + "WHERE tmdb_id = 949 AND username = 'movielens-1'") == [(9,)]


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("kind", JUNK)
@pytest.mark.parametrize("separator", [",", "\t", "::"])
def test_no_cell_of_ratings_breaks_a_reader(tmp_path: Path, at: int, kind: str, separator: str) -> None:
    file = tmp_path / "r.csv"
    for place in ("header", "row"):
        header, row = ["userId", "movieId", "rating", "timestamp"], ["1", "2", "3.5", "964982703"]
        (header if place == "header" else row)[at] = JUNK[kind]
        lines = [header, ["1", "3", "4", "964982703"], row, ["2", "3", "4.5", "964982704"]]
        file.write_bytes("\n".join(map(separator.join, lines)).encode("utf-8", "surrogateescape"))
        reading = Reading()
        n_rows, refusal = outcome(file, reading)
        assert n_rows == 3 or (refusal.isprintable() and 0 < len(refusal) < 1_000)
        assert all(note.isprintable() for note in reading.notes)


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_file_that_ends_anywhere_is_read_or_refused(tmp_path: Path, cut: int) -> None:
    content = b'userId,movieId,review,rating,timestamp\n1,2,"a\nb",3.5,964982703\n1,3,x,4,964982703\n'
    (tmp_path / "r.csv").write_bytes(content[:-cut])
    n_rows, refusal = outcome(tmp_path / "r.csv", Reading())
    assert n_rows or refusal.isprintable()


def test_an_open_quote_costs_its_own_line_only(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n1,Heat (1995),Crime\n2,"Open (1990),Drama\n3,Alien (1979),Horror\n'
        '4,"Two\nLines (2000)",\n'
    )
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,964982703\n")
    report = load_movielens(database_url, tmp_path)
    assert query(database_url, "SELECT title FROM movies ORDER BY movielens_id") == [
        ("Heat",), ("Alien",), ("Two Lines",)
    ]  # fmt: skip
    assert [[sample.line for sample in entry.samples] for entry in report.skipped.values()] == [[3]]
