"""TMDB's extracts: whole, in part, damaged, joined to movies that are there."""

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from seeds import tmdb, tmdb_rows
from seeds.files.nested_json import countries
from seeds.files.report import Count, Report, SourceError, UnusableRowError
from seeds.movielens import load_movielens
from seeds.tmdb import load_tmdb
from tests.seeds.conftest import content, query
from tests.seeds.test_movielens import csv_layout

MATRIX = {
    "adult": "False",
    "belongs_to_collection": "{'id': 2344, 'name': 'The Matrix Collection', 'poster_path': None}",
    "genres": "[{'id': 28, 'name': 'Action'}, {'id': 878, 'name': 'Science Fiction'}]",
    "id": "603",
    "imdb_id": "tt0133093",
    "original_language": "en",
    "original_title": "The Matrix",
    "overview": "A hacker learns\nwhat is real.",
    "popularity": "33.366332",
    "poster_path": "/gynBNzwyaHKtXqlEKKLioNkjKgN.jpg",
    "production_countries": "[{'iso_3166_1': 'AU', 'name': 'Australia'}, {'iso_3166_1': 'US', 'name': 'U'}]",
    "release_date": "1999-03-30",
    "runtime": "136.0",
    "title": "The Matrix",
    "vote_average": "7.9",
    "vote_count": "9079",
}
CAST = (
    "[{'character': 'Neo', 'id': 6384, 'name': 'Keanu Reeves', 'order': 0}, "
    """{'character': "Agent 'Smith'", 'id': 1331, 'name': 'Hugo Weaving', 'order': 2}, """
    "{'character': 'Trinity', 'id': 530, 'name': 'Carrie-Anne Moss', 'order': 1}]"
)
CREW = (
    "[{'id': 9339, 'job': 'Director', 'name': 'Lilly Wachowski'}, {'id': 1, 'job': 'Editor', 'name': 'E'}, "
    "{'id': 9340, 'job': 'Director', 'name': 'Lana Wachowski'}]"
)


def write(path: Path, *rows: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def movie(database_url: str, columns: str, tmdb_id: int = 603) -> tuple[Any, ...]:
    [row] = query(database_url, f"SELECT {columns} FROM movies WHERE tmdb_id = {tmdb_id}")  # noqa: S608
    return row


def credited(database_url: str, kind: str) -> list[tuple[Any, ...]]:
    rows = query(
        database_url,
        "SELECT kind, name, character, people.tmdb_id FROM credits JOIN people ON people.id = person_id "
        "ORDER BY movie_id, position",
    )
    return [row[1:] for row in rows if row[0] == kind]


def test_the_movies_dataset_completes_what_movielens_brought(database_url: str, tmp_path: Path) -> None:
    csv_layout(tmp_path)
    load_movielens(database_url, tmp_path)
    write(tmp_path / "movies_metadata.csv", MATRIX, MATRIX | {"id": "5", "title": "New", "imdb_id": ""})
    write(tmp_path / "credits.csv", {"cast": CAST, "crew": CREW, "id": "603"})
    write(tmp_path / "keywords.csv", {"id": "603", "keywords": "[{'id': 1, 'name': 'saving the world'}]"})
    report = load_tmdb(database_url, tmp_path, strict=True)
    assert report.movies == Count(added=1, updated=1)
    assert movie(
        database_url,
        "movielens_id, imdb_id, year, release_date::text, runtime_minutes, original_language, countries, "
        "overview, keywords, collection, poster_path, popularity, vote_average, vote_count",
    ) == (
        1, "tt0133093", 1999, "1999-03-30", 136, "en", ["AU", "US"], MATRIX["overview"], ["saving the world"],
        "The Matrix Collection", MATRIX["poster_path"], 33.366333, 7.9, 9079,
    )  # fmt: skip
    assert credited(database_url, "DIRECTOR") == [
        ("Lilly Wachowski", None, 9339),
        ("Lana Wachowski", None, 9340),
    ]
    assert credited(database_url, "CAST") == [
        ("Keanu Reeves", "Neo", 6384), ("Carrie-Anne Moss", "Trinity", 530),
        ("Hugo Weaving", "Agent 'Smith'", 1331),
    ]  # fmt: skip
    before = content(database_url)
    assert load_tmdb(database_url, tmp_path).movies == Count(unchanged=2)
    assert content(database_url) == before


@pytest.mark.parametrize("tmdb_first", [False, True])
def test_every_title_of_both_sources_stays_in_either_order(
    database_url: str, tmp_path: Path, tmdb_first: bool
) -> None:
    csv_layout(tmp_path)
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n1,"Matrix, The (a.k.a. Matrix One) (Matorikkusu) (1999)",Action\n'
    )
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0133093,603\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,1\n")
    write(tmp_path / "movies_metadata.csv", MATRIX | {"title": "Matrix I", "original_title": "マトリックス"})
    for _ in range(2):
        if tmdb_first:
            load_tmdb(database_url, tmp_path)
        load_movielens(database_url, tmp_path)
        if not tmdb_first:
            load_tmdb(database_url, tmp_path)
    assert movie(database_url, "title, original_title") == ("Matrix I", "マトリックス")
    titles = query(database_url, 'SELECT title, source FROM movie_titles ORDER BY source, title COLLATE "C"')
    assert titles == [
        ("Matorikkusu", "MOVIELENS"), ("Matrix One", "MOVIELENS"), ("The Matrix", "MOVIELENS"),
        ("Matrix I", "TMDB"), ("マトリックス", "TMDB"),
    ]  # fmt: skip


def test_tmdb_5000_needs_no_other_file(database_url: str, tmp_path: Path) -> None:
    row = {key: value.replace("'", '"') for key, value in MATRIX.items() if key not in ("adult", "imdb_id")}
    del row["belongs_to_collection"]
    write(tmp_path / "tmdb_5000_movies.csv", row | {"keywords": '[{"id": 1, "name": "it\'s real"}]'})
    write(
        tmp_path / "tmdb_5000_credits.csv",
        {"movie_id": "603", "title": "The Matrix", "cast": '[{"name": "Keanu Reeves", "id": 6384}]',
         "crew": CREW.replace("'", '"')},
    )  # fmt: skip
    report = load_tmdb(database_url, tmp_path, strict=True)
    assert report.movies == Count(added=1)
    assert movie(database_url, "keywords, runtime_minutes") == (["it's real"], 136)
    assert [name for name, *_ in credited(database_url, "CAST")] == ["Keanu Reeves"]
    assert report.notes == []
    (tmp_path / "tmdb_5000_credits.csv").unlink()
    assert load_tmdb(database_url, tmp_path).notes == ["tmdb_5000_credits.csv is missing"]


def test_credits_alone_complete_stored_movies(database_url: str, tmp_path: Path) -> None:
    csv_layout(tmp_path)
    load_movielens(database_url, tmp_path)
    write(
        tmp_path / "credits.csv",
        {"cast": CAST, "crew": "[]", "id": "603"},
        {"cast": CAST, "crew": "[]", "id": "42"},
    )
    report = load_tmdb(database_url, tmp_path)
    assert report.movies == Count(updated=1)
    assert {reason: [s.line for s in e.samples] for reason, e in report.skipped.items()} == {
        tmdb.NO_SUCH_MOVIE.format("credits"): [3]
    }
    assert len(credited(database_url, "CAST")) == 3


def test_unusable_rows_and_fields_are_counted(database_url: str, tmp_path: Path) -> None:
    write(
        tmp_path / "movies_metadata.csv",
        MATRIX,
        MATRIX | {"id": "1997-08-20"},
        MATRIX,
        MATRIX | {"title": "Another"},
        MATRIX | {"id": "7", "title": "", "original_title": ""},
        MATRIX | {"id": "8", "adult": "True"},
        MATRIX | {"id": "9", "imdb_id": "0", "release_date": "1", "popularity": "inf", "genres": "[{'id"},
        MATRIX | {"id": "10", "imdb_id": "", "vote_count": "0", "vote_average": "0.0", "runtime": "0.0",
                  "overview": "No overview found.", "original_language": "cn", "original_title": "黑客"},
    )  # fmt: skip
    report = load_tmdb(database_url, tmp_path)
    assert report.movies == Count(added=3)
    # Every row has a line break in its overview.
    assert {reason: [s.line for s in e.samples] for reason, e in report.skipped.items()} == {
        tmdb.NOT_AN_ID: [4], tmdb.SAME_ID: [8], tmdb_rows.NO_TITLE: [10]
    }  # fmt: skip
    left_empty = {
        tmdb_rows.LEFT_EMPTY.format(name): [14]
        for name in ("imdb_id", "release_date", "popularity", "genres")
    }
    assert {reason: [s.line for s in e.samples] for reason, e in report.set_aside.items()} == {
        tmdb.REPEATED: [6], tmdb_rows.ADULT: [12], **left_empty
    }  # fmt: skip
    columns = "vote_count, vote_average, runtime_minutes, overview, original_language, original_title"
    assert movie(database_url, columns, 10) == (0, None, None, None, "zh", "黑客")
    before = content(database_url)
    with pytest.raises(UnusableRowError, match=r"movies_metadata\.csv, line 4"):
        load_tmdb(database_url, tmp_path, strict=True)
    assert content(database_url) == before


def test_adult_movies_stay_out_unless_asked_for(database_url: str, tmp_path: Path) -> None:
    said = ["False", "true", "TRUE", "1", "yes", "1.0", "0", "no", "", "perhaps"]
    rows = [
        MATRIX | {"id": str(n), "imdb_id": "", "title": f"Movie {n}", "original_title": "", "adult": adult}
        for n, adult in enumerate(said, 1)
    ]
    write(tmp_path / "movies_metadata.csv", *rows)
    write(tmp_path / "tmdb_5000_movies.csv", {key: rows[1][key] for key in rows[1] if key != "adult"})
    report = load_tmdb(database_url, tmp_path)
    assert {reason: entry.count for reason, entry in report.set_aside.items()} == {
        tmdb_rows.ADULT: 5, tmdb_rows.ADULT_UNKNOWN: 1
    }  # fmt: skip
    assert query(database_url, "SELECT tmdb_id FROM movies ORDER BY 1") == [(1,), (7,), (8,), (9,)]
    assert load_tmdb(database_url, tmp_path, adult=True).movies.added == 6


@pytest.mark.parametrize(
    "name", ["TMDB_movie_dataset_v11.csv", "TMDB_movie_dataset_v12.csv.gz", "movies_metadata.csv"]
)
def test_lists_by_commas_are_lists(database_url: str, tmp_path: Path, name: str) -> None:
    row = MATRIX | {
        "genres": "Action, Science Fiction, Adventure",
        "keywords": "rescue, dream",
        "production_countries": "United Kingdom, United States of America",
        "id": "603.0",
        "vote_count": "9079.0",
    }
    other = {"id": "5", "imdb_id": "", "title": "B", "genres": "Action|Drama"}
    write(tmp_path / "plain.csv", row, row | other | {"production_countries": "Utopia"})
    content_ = (tmp_path / "plain.csv").read_bytes()
    (tmp_path / "plain.csv").unlink()
    (tmp_path / name).write_bytes(gzip.compress(content_) if name.endswith("gz") else content_)
    report = load_tmdb(database_url, tmp_path)
    assert report.movies == Count(added=2)
    assert movie(database_url, "keywords, vote_count, countries") == (["rescue", "dream"], 9079, ["GB", "US"])
    unknown = report.set_aside[tmdb_rows.LEFT_EMPTY.format("production_countries")]
    assert [sample.text for sample in unknown.samples] == ["Utopia"]
    genres = "SELECT name FROM genres JOIN movie_genres ON genre_id = id JOIN movies ON movie_id = movies.id "
    assert query(database_url, genres + "WHERE tmdb_id = 603 ORDER BY 1") == [
        ("Action",), ("Adventure",), ("Sci-Fi",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("United Kingdom, United States of America", ("GB", "US")),
        ("South Korea", ("KR",)),
        ("Bosnia and Herzegovina|Czech Republic", ("BA", "CZ")),
        ("Korea, Republic of", ("KR",)),
        ("US", ("US",)),
        ("[{'iso_3166_1': 'AU', 'name': 'Australia'}]", ("AU",)),
        ("[{'name': 'Soviet Union'}]", ("SU",)),
    ],
)
def test_countries_are_known_by_name_and_code(text: str, codes: tuple[str, ...]) -> None:
    assert countries(text) == codes


def test_a_cast_without_an_order_is_in_that_of_the_file(database_url: str, tmp_path: Path) -> None:
    write(tmp_path / "movies_metadata.csv", MATRIX)
    cast = "[{'name': 'B', 'order': 'first', 'id': 'x'}, {'name': 'A', 'order': 0}]"
    write(tmp_path / "credits.csv", {"cast": cast, "crew": "[]", "id": "603"})
    report = load_tmdb(database_url, tmp_path)
    assert [(s.file, s.line) for s in report.set_aside[tmdb_rows.FILE_ORDER].samples] == [
        (str(tmp_path / "credits.csv"), 2)
    ]
    assert [name for name, *_ in credited(database_url, "CAST")] == ["B", "A"]


def test_a_folder_without_any_of_the_files_is_refused(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none of movies_metadata\.csv"):
        load_tmdb(database_url, tmp_path)


def test_tmdb_as_it_is_published(database_url: str, shared_data: Path) -> None:
    load_movielens(database_url, shared_data / "ml-latest-small")
    report: Report = load_tmdb(database_url, shared_data / "tmdb")
    assert report.movies == Count(added=2519, updated=9166, unchanged=459)
    assert {reason: entry.count for reason, entry in report.skipped.items()} == {
        tmdb.SAME_ID: 6,
        tmdb.NO_SUCH_MOVIE.format("credits"): 606,
        tmdb.NO_SUCH_MOVIE.format("keywords"): 33_578,
    }
    assert (
        query(
            database_url,
            "SELECT count(*) FROM movies WHERE movielens_id IS NOT NULL AND overview IS NOT NULL",
        )[0][0]
        > 7_500
    )
