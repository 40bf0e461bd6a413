"""Columns under the names of common data sets, and unrecognized columns."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from app.ingest.loads.scale import Scale
from app.offline import rating_files
from app.offline.rating_files import Reading
from seeds.files.column_roles import MOVIE, USER, ColumnNames
from seeds.files.rating_rows import RatingRows
from seeds.files.report import SourceError, quiet

JANUARY = int(datetime(2014, 1, 15, tzinfo=UTC).timestamp())


def read(file: Path, reading: Reading | None = None, scale: Scale | None = None) -> tuple[RatingRows, Scale]:
    found = rating_files.rating_file(file)
    return rating_files.read_ratings(found, quiet, reading=reading or Reading(), scale=scale)


def written(tmp_path: Path, content: str | bytes, name: str = "r.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def given(text: str) -> Reading:
    return Reading(columns=ColumnNames.parse(text))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("userId,movieId,rating,timestamp", "7,31,4.5,1389744000"),
        ("user_id,item_id,overall,unixReviewTime", "7,31,4.5,1389744000"),
        ("reviewerID,asin,overall,reviewTime", '7,31,4.5,"01 15, 2014"'),
        ("reviewerID,asin,overall,unixReviewTime,reviewTime", '7,31,4.5,1389744000,"01 16, 2014"'),
        ("review_id,user_id,business_id,stars,useful,funny,text,date", "1,7,31,4.5,3,1,so,2014-01-15"),
        ("uid,iid,score,ts", "7,31,4.5,1389744000000"),
        ("User_ID,Movie_Id,Rating,Date", "7,31,4.5,2014-01-15"),
        ("user,movie,grade,Date Rated", "7,31,4.5,15.01.2014"),
        ("profileId,item,preference,datetime", "7,31,4.5,2014-01-15T00:00:00Z"),
        ("customer_id,movie,user_rating,rated_at", "7,31,4.5,2014-01-15 00:00:00+00:00"),
        ("Your Rating,member,Const,created", "4.5,7,31,Wed Jan 15 00:00:00 2014"),
        ("Unnamed: 0,user,isbn,Book-Rating,time", "5,7.0,31.0,4.5,1389744000.0"),
        ("_id,movie_id,rating_val,user_id,when", "5ab,31,4.5,7,20140115"),
        ("userid;movieid;stars;date", '7;31;4,5;"15 Jan 2014"'),
        ("userid\tmovieid\trating\tdate", "7\t31\t4.5\t2014/01/15"),
        ("user_id:token\titem_id:token\trating:float\ttimestamp:float", "7\t31\t4.5\t1389744000"),
        ("user item rating timestamp", "7  31  4.5  1389744000"),
        ("% user item rating timestamp", "7 31 4.5 1389744000"),
        ("sep=|\nuser|item|rating|time", "7|31|4.5|1389744000"),
        ("\nuser,item,rating,time", "7,31,★★★★½,1389744000"),
        ("user_id,book_id,rating,date_added", "7,31,4.5,Wed Jan 15 00:00:00 +0000 2014"),
        ("USER_MD5,MOVIE_ID,RATING,RATING_TIME", "7,31,4.5,2014-01-15 00:00:00"),
        ("Benutzer;Film;Bewertung;Datum", "7;31;4,5;15. Januar 2014"),
        ("utilisateur,film,note,date", "7,31,4.5,15 janv. 2014"),
        ("usuario,película,puntuación,fecha", "7,31,4.5,15 de enero de 2014"),
        ("ユーザー,映画,評価,日時", "7,31,4.5,2014年1月15日"),
        ("用户,电影,评分,时间", "7,31,4.5,2014. 1. 15."),
    ],
)
def test_known_names_and_notations_are_read(tmp_path: Path, header: str, row: str) -> None:
    rows, scale = read(written(tmp_path, f"{header}\n{row}\n"))
    assert scale is Scale.STARS
    assert [column.tolist()[0] for column in rows.columns()[:4]] == [7, 31, 9, JANUARY]


@pytest.mark.parametrize(
    ("content", "columns", "half_stars"),
    [
        ("u_,thing,how,moment\n7,31,4.5,1389744000\n", "user=u_,movie=thing,rating=how,time=moment", 9),
        ("a,b,c,d\n31,7,4,1389744000\n", "user=2,movie=1,rating=3,time=4", 8),
        ("31,7,9,4,1389744000\n", "user=2,movie=1,rating=4,time=5", 8),
        ("user,movie,plays,timestamp\n7,31,300,1389744000\n", "rating=", 10),
    ],
)  # fmt: skip
def test_columns_can_be_named(tmp_path: Path, content: str, columns: str, half_stars: int) -> None:
    rows, _ = read(written(tmp_path, content), given(columns))
    assert [column.tolist()[0] for column in rows.columns()[:4]] == [7, 31, half_stars, JANUARY]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (
            "user_id,movie_id,plays",
            "1,2,9",
            "but plays could be it.*--columns rating=plays.*--columns rating= ",
        ),
        ("user_id,movie_id,likes", "1,2,False", "but likes could be it.*--columns rating=likes"),
        ("user_id,movie_id,upvotes,votes", "1,2,1,5", "but upvotes, votes could be it"),
        ("user_id,movie_id,dislikes", "1,2,True", "but dislikes could be it.*--columns rating=NAME"),
        ("user_id,movie_id,disliked", "1,2,True", "but disliked could be it.*--columns rating=NAME"),
        ("user_id,movie_id,My fun (1-10)", "1,2,7", r"--columns 'rating=My fun \(1-10\)'; "),
        ("user_id,movie_id,fun,timestamp", "1,2,great,5", "but fun could be it"),
        ("user_id,movie_id,hours_on_record,date", "1,2,3.5,2014-01-15", "but hours_on_record could be it"),
        (
            "user_id,movie_id,rating,day_of_rating",
            "1,2,3,17",
            "but day_of_rating could be it.*time=day_of_rating",
        ),
        ("user_id,movie_id,rating,seen", "1,2,3,1389744000", "but seen could be it"),
        (
            "user_id,movie_id,rating,stars",
            "1,2,3,4",
            "more than one column could be the rating: rating, stars",
        ),
        ("who,movie_id,rating", "1,2,3", "recognized as the user; there are who, movie_id, rating"),
        ("user_id,name,rating", "1,Heat,3", "recognized as the movie"),
        ("user_id,movie_id,rating,timestamp", "1,2,3,41654", None),
        ("user_id,movie_id,rating,date", "1,2,3,41654", "column date: the largest time is 41654"),
        ("user_id,movie_id,liked", "1,2,3", "line 2: 3 in column liked, where yes or no is expected"),
    ],
)
def test_an_unrecognized_column_never_counts_as_absent(
    tmp_path: Path, header: str, row: str, message: str | None
) -> None:
    file = written(tmp_path, f"{header}\n{row}\n")
    if message is None:
        reading = Reading()
        read(file, reading)
        assert any("only for their order" in note for note in reading.notes)
        return
    with pytest.raises(SourceError, match=message):
        read(file)


def test_opinions_beside_a_rating_are_left_out(tmp_path: Path) -> None:
    rows, _ = read(written(tmp_path, "user_id,movie_id,rating,likes,votes\n1,2,3,40,5\n"))
    assert [column.tolist() for column in rows.columns()[:3]] == [[1], [2], [6]]


def test_unrelated_columns_are_left_out_with_a_note(tmp_path: Path) -> None:
    reading = Reading()
    text = "user_id,movie_id,title,genres,review_text\n1,2,Heat,Crime,a long text of its own that says much\n"
    rows, scale = read(written(tmp_path, text), reading)
    assert (len(rows), scale) == (1, Scale.LIKES)
    assert any("not used: title, genres, review_text" in note for note in reading.notes)
    assert any("has no ratings: each row is read as a like" in note for note in reading.notes)


def test_a_word_within_another_does_not_name_a_time(tmp_path: Path) -> None:
    reading = Reading()
    read(written(tmp_path, "user,movie,rating,sentiment\n7,31,4,0.8\n"), reading)
    assert any("not used: sentiment" in note for note in reading.notes)


def test_the_size_in_a_matrix_market_file_is_not_a_rating(tmp_path: Path) -> None:
    text = "%%MatrixMarket matrix coordinate real general\n% comment\n2 3 2\n1 3 5\n2 1 3\n"
    rows, scale = read(written(tmp_path, text, "r.mtx"))
    assert scale is Scale.STARS
    assert [column.tolist() for column in rows.columns()[:3]] == [[1, 2], [3, 1], [10, 6]]


def test_a_scale_whose_highest_rating_is_not_5_or_10_is_noted(tmp_path: Path) -> None:
    for most, scale, expected in ((7, Scale.TEN, "above 7.*scale of 10"), (4, Scale.STARS, "above 4.*of 5")):
        lines = "".join(f"{user},1,{1 + user % most}\n" for user in range(100))
        reading = Reading()
        assert read(written(tmp_path, f"user,movie,rating\n{lines}"), reading)[1] is scale
        assert any(re.search(expected, note) for note in reading.notes)
        reading = Reading()
        read(written(tmp_path, f"user,movie,rating\n{lines}7,2,{5 if most == 4 else 10}\n"), reading)
        assert not any("above" in note for note in reading.notes)


def test_zeros_of_a_scale_of_ten_and_files_without_header_are_noted(tmp_path: Path) -> None:
    reading = Reading()
    rows, scale = read(written(tmp_path, "1,2,0\n1,3,7\n1,4,9\n"), reading)
    assert (rows.half_stars.tolist(), scale) == ([1, 7, 9], Scale.TEN)
    assert any("1 ratings of 0 of 10 are read as half a star" in note for note in reading.notes)
    assert any("columns are taken as user, movie, rating" in note for note in reading.notes)


@pytest.mark.parametrize(
    "words", [("True", "False"), ("yes", "no"), ("like", "dislike"), ("1", "0"), ("1", "-1")]
)
def test_yes_and_no_are_likes_and_dislikes(tmp_path: Path, words: tuple[str, str]) -> None:
    lines = "".join(f"1,{movie},{words[movie % 2]}\n" for movie in range(4))
    reading = Reading()
    rows, scale = read(written(tmp_path, "user_id,movie_id,liked\n" + lines), reading)
    assert (rows.half_stars.tolist(), scale) == ([10, 2, 10, 2], Scale.LIKES)
    assert any("2 likes are read as five stars, 2 dislikes as one star" in note for note in reading.notes)
    parquet.write_table(
        pa.table({"user_id": [1, 1], "movie_id": [1, 2], "liked": [True, False]}), tmp_path / "r.parquet"
    )
    assert read(tmp_path / "r.parquet")[0].half_stars.tolist() == [10, 2]


def test_yes_among_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="line 3: column rating holds both numbers and yes or no"):
        read(written(tmp_path, "user_id,movie_id,rating\n1,2,4\n1,3,yes\n"))


@pytest.mark.parametrize(
    "ids", [("u-1", "tt0000111"), ("0a4f7f3e-9d1e-4a57", "007"), ("Jean, P", "B00005JL22")]
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_string_ids_and_number_ids_keep_their_type(tmp_path: Path, ids: tuple[str, str], ending: str) -> None:
    user, movie = ids
    if ending == "csv":
        file = written(tmp_path, f'user_id,movie_id,rating\n"{user}",{movie},4\n5,7.0,3\n')
    else:
        file = tmp_path / "r.parquet"
        parquet.write_table(
            pa.table({"user_id": [user, "5"], "movie_id": [movie, "7.0"], "rating": [4, 3]}), file
        )
    reading = Reading()
    rows, _ = read(file, reading)
    assert [reading.ids.text(number) for number in rows.user_ids.tolist()] == [user, "5"]
    assert [reading.ids.text(number) for number in rows.item_ids.tolist()] == [movie, "7"]
    assert rows.item_ids[1] == 7
    assert any("ids of users are texts in 1 rows and numbers in 1" in note for note in reading.notes)
    again, _ = read(file, Reading())
    assert again.user_ids.tolist() == rows.user_ids.tolist()


def test_lists_and_pairs_with_string_ids(tmp_path: Path) -> None:
    reading = Reading()
    ids = rating_files.read_ids(written(tmp_path, "u-2\nu-1\nu-2\n"), USER, quiet, reading=reading)
    assert sorted(map(reading.ids.text, ids.tolist())) == ["u-1", "u-2"]
    ids = rating_files.read_ids(written(tmp_path, "movie_id\ntt1\n"), MOVIE, quiet, reading=reading)
    assert [*map(reading.ids.text, ids.tolist())] == ["tt1"]


def test_a_list_in_json_is_refused_by_name(tmp_path: Path) -> None:
    file = written(tmp_path, '\n[ {"user": 1, "movie": 2, "rating": 4}]', "r.json")
    with pytest.raises(SourceError, match="write each object on a line"):
        read(file)


def test_quoted_line_breaks_are_part_of_a_row(tmp_path: Path) -> None:
    text = 'user_id,movie_id,review,rating\n1,2,"one\ntwo, ""three""\n",4\n1,3,plain,5\n1,4,"5"" disc",3\n'
    rows, _ = read(written(tmp_path, text))
    assert list(zip(rows.item_ids.tolist(), rows.half_stars.tolist(), rows.lines.tolist(), strict=True)) == [
        (2, 8, 2), (3, 10, 5), (4, 6, 6)
    ]  # fmt: skip
    with pytest.raises(SourceError, match="line 3: a different number of fields"):
        read(written(tmp_path, 'user_id,movie_id,review,rating\n1,2,a,4\n1,3,"open,5\n1,4,b,3\n'))


def test_the_layout_of_the_netflix_prize(tmp_path: Path) -> None:
    rows, _ = read(written(tmp_path, "1:\n7,3,2005-09-06\n8,5,2005-05-13\n2:\n7,4,2005-09-05\n"))
    columns = (rows.user_ids.tolist(), rows.item_ids.tolist(), rows.half_stars.tolist())
    assert list(zip(*columns, strict=True)) == [(7, 1, 6), (8, 1, 10), (7, 2, 8)]
    assert rows.lines.tolist() == [2, 3, 5]


def test_json_lines(tmp_path: Path) -> None:
    text = "".join(
        f'{{"reviewerID": "A{u}", "asin": "B{u}", "overall": 4.0, "helpful": [0, 1], '
        '"unixReviewTime": 1389744000}\n'
        for u in range(3)
    )
    for name, content in (("r.json", text.encode()), ("r.json.gz", gzip.compress(text.encode()))):
        reading = Reading()
        rows, _ = read(written(tmp_path, content, name), reading)
        assert [reading.ids.text(number) for number in rows.user_ids.tolist()] == ["A0", "A1", "A2"]
        assert (rows.half_stars.tolist(), rows.timestamps.tolist()) == ([8] * 3, [JANUARY] * 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tt0133093,7,4.5,1389744000\n", "first column looks like the movie"),
        ("7,31,1389744000\n", "third column looks like times"),
        ("7,31,x,4.5,1389744000\n", "no header and 5 columns"),
    ],
)
def test_a_file_without_header_in_another_order_needs_the_option(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message + ".*--columns user=1"):
        read(written(tmp_path, content))


@pytest.mark.parametrize(
    "text", ["user", "user=a,user=b", "movie=a,movie=b", "user=", "user=a,movie=a", "x=1"]
)
def test_contradictory_columns_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ColumnNames.parse(text)
