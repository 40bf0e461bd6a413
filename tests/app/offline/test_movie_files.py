"""Movie files beside the ratings and in other folders."""

from pathlib import Path

import numpy as np

from app.offline import movie_files
from recommender.item_features import ItemFeatures
from seeds.files.rating_cells import TextIds
from seeds.files.report import Report, quiet

MOVIES = (
    'movieId,title,genres\n1,Toy Story (1995),Animation|Comedy\n7,"City, The (1994)",(no genres listed)\n'
)
METADATA = """id,title,overview,release_date,genres,runtime,vote_count
862,Toy Story,Toys live.,1995-10-30,"[{'id': 1, 'name': 'Family'}]",81.0,5415
900,The City,A town.,1994-05-05,[],,3
901,Elsewhere,Not among the ratings.,1990-01-01,[],90,1
"""
KEYWORDS = "id,keywords\n862,\"[{'id': 1, 'name': 'toy'}]\"\n901,[]\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return folder


def movies(beside: Path, *folders: Path, ids: tuple[int, ...] = (1, 7, 50)) -> tuple[ItemFeatures, Report]:
    report = Report("test")
    known = movie_files.read_movies(beside, folders, report, quiet)
    return movie_files.columns(np.array(ids, np.int64), known), report


def test_movies_links_tags_and_tmdb_are_joined(tmp_path: Path) -> None:
    home = write(
        tmp_path / "ml",
        movies__csv=MOVIES,
        links__csv="movieId,imdbId,tmdbId\n1,0114709,862\n7,,\n",
        tags__csv="userId,movieId,tag,timestamp\n3,1,Pixar ,1\n4,1,pixar,2\n4,99,x,2\n",
    )
    tmdb = write(tmp_path / "tmdb", movies_metadata__csv=METADATA, keywords__csv=KEYWORDS)
    found, report = movies(home, tmdb)
    assert found.titles == ["Toy Story", "The City", ""]
    assert found.genres == [("Animation", "Comedy", "Children"), (), ()]
    assert found.keywords == [("pixar", "toy"), (), ()]
    assert found.overviews == ["Toys live.", "A town.", ""]  # the second joined by title and year
    assert found.years.tolist() == [1995, 1994, 0]
    np.testing.assert_array_equal(found.vote_count, np.array([5415, 3, np.nan], np.float32))
    assert report.skipped == {}


def test_the_older_layouts_are_read_in_latin_1(tmp_path: Path) -> None:
    item = "1|Cité, La (1994)|14-Jul-1994||http://x|" + "|".join("1" if i == 8 else "0" for i in range(19))
    (tmp_path / "u.item").write_bytes(f"{item}\n".encode("latin-1"))
    found, _ = movies(tmp_path, ids=(1, 2))
    assert (found.titles, found.genres, found.years.tolist()) == (
        ["La Cité", ""],
        [("Drama",), ()],
        [1994, 0],
    )
    (tmp_path / "movies.dat").write_bytes("2::Amélie (2001)::Comedy|Romance\n".encode("latin-1"))
    found, _ = movies(tmp_path, ids=(1, 2))
    assert (found.titles, found.genres) == (["", "Amélie"], [(), ("Comedy", "Romance")])


def test_links_alone_suffice_to_join_tmdb(tmp_path: Path) -> None:
    write(
        tmp_path,
        links__csv="movieId,imdbId,tmdbId\n1,0114709,862\n",
        movies_metadata__csv=METADATA,
        keywords__csv=KEYWORDS,
    )
    found, _ = movies(tmp_path)
    assert found.titles == ["Toy Story", "", ""]
    assert found.keywords[0] == ("toy",)


def test_ids_of_another_folder_are_not_mixed(tmp_path: Path) -> None:
    home = write(tmp_path / "mine", movies__csv=MOVIES)
    write(home / "other", links__csv="movieId,imdbId,tmdbId\n1,1,901\n", movies_metadata__csv=METADATA)
    beside, _ = movies(home)
    assert beside.overviews == ["", "", ""]
    found, _ = movies(
        home, write(tmp_path / "more", links__csv="movieId,imdbId,tmdbId\n1,1,901\n"), home / "other"
    )
    assert found.overviews == ["Toys live.", "A town.", ""]


def test_no_movie_files_is_valid(tmp_path: Path) -> None:
    found, report = movies(tmp_path)
    assert found.titles == ["", "", ""]
    assert (report.skipped, report.notes) == ({}, [])


def test_unused_content_is_reported_with_the_reason(tmp_path: Path) -> None:
    tmdb = write(tmp_path / "tmdb", TMDB_movie_dataset_v11__csv=METADATA)
    _, report = movies(write(tmp_path / "ml"), tmdb)
    (note,) = report.notes
    assert "TMDB_movie_dataset_v11.csv is not used: there is neither a list of movies" in note
    _, report = movies(tmp_path / "ml", write(tmp_path / "other", pictures__csv="x\n1\n"))
    (note,) = report.notes
    assert "other is not used: it has none of movies.csv, movie.csv" in note
    home = write(tmp_path / "home", movies__csv=MOVIES)
    _, report = movies(home, write(tmp_path / "second", movies__csv=MOVIES))
    (note,) = report.notes
    assert "second is not used" in note
    assert "home lists the movies" in note
    strange = METADATA.replace("Toy Story", "Something").replace("The City", "Else")
    _, report = movies(home, write(tmp_path / "strange", movies_metadata__csv=strange))
    assert any("strange is not used: none of its movies is listed or linked" in note for note in report.notes)
    _, report = movies(home, tmdb)
    assert report.notes == []


def test_kaggle_names_of_lists_links_and_tags(tmp_path: Path) -> None:
    home = write(
        tmp_path / "ml",
        movie__csv=MOVIES,
        link__csv="movieId,imdbId,tmdbId\n1,0114709,862.0\n7,,\n",
        tag__csv="userId,movieId,tag,timestamp\n3,1.0,Pixar,1\n",
        movies_metadata__csv=METADATA,
    )
    found, _ = movies(home)
    assert found.keywords[0] == ("pixar",)
    assert found.overviews[0] == "Toys live."


def test_movies_with_string_ids_are_joined(tmp_path: Path) -> None:
    ids = TextIds()
    numbers = np.array([ids.number("tt0114709"), ids.number("tt9")], np.int64)
    metadata = METADATA.replace("id,title", "imdb_id,id,title").replace("862,Toy", "tt0114709,862,Toy")
    metadata = metadata.replace("\n900,", "\n,900,").replace("\n901,", "\n,901,")
    tmdb = write(tmp_path / "tmdb", movies_metadata__csv=metadata)
    known = movie_files.read_movies(write(tmp_path / "r"), [tmdb], Report("test"), quiet, ids)
    assert known[int(numbers[0])].overview == "Toys live."
    home = write(tmp_path / "ml", movies__csv="movie_id,title\ntt9,Heat (1995)\n")
    known = movie_files.read_movies(home, [], Report("test"), quiet, ids)
    assert {number: movie.title for number, movie in known.items()} == {int(numbers[1]): "Heat"}
