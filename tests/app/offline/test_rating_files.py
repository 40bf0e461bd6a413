"""Rating files in every supported layout, and errors of invalid ones."""

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from app.ingest.loads.scale import Scale
from app.offline import rating_files
from app.offline.rating_files import Reading
from seeds.files.column_roles import MOVIE, USER
from seeds.files.rating_rows import RatingRows
from seeds.files.ratings import OFF_SCALE
from seeds.files.report import SourceError, quiet

ROWS = [(7, 31, 4.5, 964982703), (7, 20, 3.0, 964982704), (2, 31, 0.5, 1)]


def read(path: Path, scale: Scale | None = None, reading: Reading | None = None) -> tuple[RatingRows, Scale]:
    file = rating_files.rating_file(path)
    return rating_files.read_ratings(file, quiet, reading=reading or Reading(), scale=scale)


def stars(rows: RatingRows) -> list[tuple[int, int, float, int]]:
    columns = (rows.user_ids, rows.item_ids, rows.half_stars / 2, rows.timestamps)
    return [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def lines(separator: str, header: str = "") -> bytes:
    rows = [separator.join(str(value) for value in row) for row in ROWS]
    return "\n".join([header, *rows] if header else rows).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ratings.csv", lines(",", "userId,movieId,rating,timestamp")),
        ("mine.csv", lines(",", "user_id,movie_id,rating,timestamp")),
        ("mine.tsv", lines("\t", "user_id\titem_id\trating\ttimestamp")),
        ("bare.csv", lines(",")),
        ("ratings.dat", lines("::")),
        ("u.data", lines("\t")),
        ("u1.base", lines("\t")),
        ("ratings.csv", b"\xef\xbb\xbf" + lines(",", '"userId","movieId","rating","timestamp"')),
        ("mine.psv", lines("|", "user_id|movie_id|rating|timestamp")),
        (
            "gaps.csv",
            b"user_id,movie_id,rating,timestamp\n7.0,31.0,4.5,964982703.0\n7.0,20.0,3,964982704.0\n2,31,.5,1",
        ),
        ("bare_gaps.csv", b"7.0,31.0,4.5,964982703.0\n7.0,20.0,3,964982704.0\n\n2.0,31,.5,1"),
        (
            "dates.csv",
            (
                b"user,item,stars,timestamp\n7,31,4.5,2000-07-30 18:45:03\n7,20,3,2000-07-30T18:45:04\n"
                b"2,31,.5,1970-01-01T00:00:01"
            ),
        ),
        (
            "mixed.csv",
            (
                b'title,user,item,rating,timestamp\n"A, b",7,31,4.5,2000-07-30T20:45:03+02:00\n\n'
                b'"Say ""c""",7,20,3,964982704\nd,2.0,31,.5,1\n'
            ),
        ),
        (
            "floats.csv",
            b"n,timestamp,rating,movie_id,user_id\r\n0,964982703.0,4.5,31,7\r\n1,964982704.0,3,20,7\r\n2,1.0,.5,31,2",
        ),
    ],
)
def test_every_text_layout_has_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    rows, scale = read(tmp_path / name)
    assert (stars(rows), scale) == (ROWS, Scale.STARS)


def table() -> pa.Table:
    names = ("user_id", "movie_id", "rating", "timestamp")
    return pa.table(dict(zip(names, (list(column) for column in zip(*ROWS, strict=True)), strict=True)))


def test_parquet_of_any_types_has_the_same_rows(tmp_path: Path) -> None:
    parquet.write_table(table(), tmp_path / "r.parquet")
    assert stars(read(tmp_path / "r.parquet")[0]) == ROWS
    times = pa.array([row[3] * 1000 for row in ROWS], pa.timestamp("ms", tz="UTC"))
    days = pa.array([row[3] // 86_400 for row in ROWS], pa.date32())
    parquet.write_table(
        table().drop_columns(["timestamp"]).append_column("timestamp", days), tmp_path / "d.pq"
    )
    assert [row[3] for row in stars(read(tmp_path / "d.pq")[0])] == [
        row[3] // 86_400 * 86_400 for row in ROWS
    ]
    narrow = table().set_column(0, "userId", pa.array([7, 7, 2], pa.int32())).drop_columns(["timestamp"])
    parquet.write_table(narrow.append_column("timestamp", times), tmp_path / "r.parquet")
    assert stars(read(tmp_path / "r.parquet")[0]) == ROWS


def test_ratings_are_found_in_a_folder_and_in_a_zip(tmp_path: Path) -> None:
    (tmp_path / "ml" / "inner").mkdir(parents=True)
    (tmp_path / "ml" / "inner" / "ratings.dat").write_bytes(lines("::"))
    assert stars(read(tmp_path / "ml")[0]) == ROWS
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml-100k/u.data", lines("\t"))
    assert stars(read(tmp_path / "ml.zip")[0]) == ROWS
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"none of ratings\.csv, .*name the file"):
        read(tmp_path / "empty")


def test_times_and_ratings_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,movie_id,rating\n1,2,3.5\n")
    assert stars(read(tmp_path / "a.csv")[0]) == [(1, 2, 3.5, 0)]
    (tmp_path / "b.csv").write_text("user_id,movie_id,rating,timestamp\n1,2,3.5,0\n1,3,3.5,\n")
    assert stars(read(tmp_path / "b.csv")[0]) == [(1, 2, 3.5, 0), (1, 3, 3.5, 0)]
    (tmp_path / "b.csv").write_text("user_id,movie_id,rating,timestamp\n1,2,3.5,\n1.0,3.0,3.5,\n")
    assert stars(read(tmp_path / "b.csv")[0]) == [(1, 2, 3.5, 0), (1, 3, 3.5, 0)]
    (tmp_path / "c.csv").write_text("user_id,movie_id\n1,2\n")
    rows, scale = read(tmp_path / "c.csv")
    assert (stars(rows), scale) == ([(1, 2, 5.0, 0)], Scale.LIKES)


def test_a_long_column_of_ones_is_read_as_likes(tmp_path: Path) -> None:
    rows = "".join(f"1,{movie},1\n" for movie in range(20))
    (tmp_path / "likes.csv").write_text(f"user_id,movie_id,rating\n{rows}")
    liked, scale = read(tmp_path / "likes.csv")
    assert scale is Scale.LIKES
    assert (liked.half_stars == 10).all()
    (tmp_path / "harsh.csv").write_text("user_id,movie_id,rating\n1,2,1\n1,3,1\n")
    assert stars(read(tmp_path / "harsh.csv", Scale.STARS)[0]) == [(1, 2, 1.0, 0), (1, 3, 1.0, 0)]
    assert read(tmp_path / "harsh.csv", Scale.LIKES)[1] is Scale.LIKES


def test_a_scale_of_ten_is_recognized_from_ratings_or_the_model(tmp_path: Path) -> None:
    (tmp_path / "r.dat").write_text("".join(f"1::{movie}::{movie}::964982703\n" for movie in range(11)))
    rows, scale = read(tmp_path / "r.dat")
    assert scale is Scale.TEN
    assert rows.half_stars.tolist() == [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    (tmp_path / "low.csv").write_text("user_id,movie_id,rating\n1,2,4\n")
    assert read(tmp_path / "low.csv", Scale.TEN)[0].half_stars.tolist() == [4]
    with pytest.raises(SourceError, match="line 1: not a rating of the scale"):
        read(tmp_path / "r.dat", Scale.STARS)


GOOD = "".join(f"{user},{movie},3.5,964982703\n" for user in range(5) for movie in range(8))


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("1.5,1,3,964982703", "column userId: is neither a whole number nor a name: '1.5' in {row}"),
        (
            "9007199254740993.0,1,3,964982703",
            "column userId: is a whole number that lost digits as a float: '9007199254740993.0' in {row}",
        ),
        ("1,1,3,yesterday", "column timestamp: is neither seconds nor a date: 'yesterday' in {row}"),
        ("1,1,good,964982703", "column rating: is neither a number nor yes or no: 'good' in {row}"),
        ("1,,3,964982703", "column movieId: is empty: {row}"),
        ("1,1,3", "a different number of fields than the file has: {row}"),
        ("1,1,,964982703", "column rating: is empty: {row}"),
        ("1,1,nan,964982703", "column rating: is neither a number nor yes or no: 'nan' in {row}"),
        ("1,1,0,964982703", f"{OFF_SCALE}: 0 in column rating"),
        ("1,1,7,964982703", f"{OFF_SCALE}: 7 in column rating"),
        ("1,1,3.2,964982703", f"{OFF_SCALE}: 3.2 in column rating"),
        ("1,1,-1,964982703", f"{OFF_SCALE}: -1 in column rating"),
        (
            "1,1,3,964982703000",
            "column timestamp: not a time between 1970 and 2100 in seconds: 964982703000 of user 1, movie 1",
        ),
    ],
)
def test_an_invalid_row_is_reported_with_file_line_and_rule(tmp_path: Path, row: str, rule: str) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(f"userId,movieId,rating,timestamp\n{GOOD}{row}\n{GOOD}")
    with pytest.raises(SourceError) as refused:
        read(file)
    assert str(refused.value) == f"{file}, line 42: {rule.format(row=row)}"


def test_an_invalid_parquet_row_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "r.parquet"
    parquet.write_table(table().set_column(2, "rating", pa.array([4.5, 9.0, 3.0])), file)
    with pytest.raises(
        SourceError, match=r"r\.parquet, line 2: not a rating of the scale.*: 9 in column rating"
    ):
        read(file, Scale.STARS)
    parquet.write_table(table().set_column(1, "movie_id", pa.array([1, None, 3])), file)
    with pytest.raises(SourceError, match=r"r\.parquet, line 2: column movie_id: is empty"):
        read(file)
    parquet.write_table(table().set_column(2, "rating", pa.array([[4.5], [9.0], [3.0]])), file)
    with pytest.raises(SourceError, match=r"r\.parquet, line 1: column rating: is neither a number"):
        read(file)
    parquet.write_table(table(), file)
    whole = bytearray(file.read_bytes())
    whole[4:60] = bytes(56)
    file.write_bytes(whole)
    with pytest.raises(SourceError, match=r"r\.parquet is damaged: "):
        read(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"user_id,stars\n1,2\n", "no column is recognized as the movie; there are user_id, stars"),
    ],
)
def test_an_unrelated_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "r.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "r.csv")


def test_lists_of_ids_have_a_header_or_none(tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    for content in ("user_id,name\n5,ann\n3,bob\n5,ann\n", "5\n3\n5\n"):
        file.write_text(content)
        assert rating_files.read_ids(file, USER, quiet, reading=Reading()).tolist() == [3, 5]
    file.write_text("movie_id\n8\n")
    assert rating_files.read_ids(file, MOVIE, quiet, reading=Reading()).tolist() == [8]


def test_pairs_keep_their_order_and_their_repetitions(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("user_id,movie_id,rating\n2,1,junk\n1,9,\n2,1,8.3\n")
    pairs = rating_files.read_pairs(tmp_path / "p.csv", quiet, reading=Reading())
    assert list(zip(pairs.user_ids.tolist(), pairs.item_ids.tolist(), strict=True)) == [
        (2, 1),
        (1, 9),
        (2, 1),
    ]


@pytest.mark.parametrize("name", ["out.csv", "deep/er/out.parquet"])
def test_written_files_read_back_with_nan_left_empty(tmp_path: Path, name: str) -> None:
    schema = pa.schema({"user_id": pa.int64(), "score": pa.float32()})
    column = rating_files.column(np.array([1.25, np.nan], np.float32))
    batch = pa.record_batch([pa.array([1, 2]), column], schema=schema)
    path = tmp_path / name
    assert rating_files.write_table(path, schema, [batch, batch]) == 4
    back = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
    assert back.to_pydict() == {"user_id": [1, 2, 1, 2], "score": [1.25, None, 1.25, None]}


def test_an_incomplete_file_is_removed(tmp_path: Path) -> None:
    schema = pa.schema({"user_id": pa.int64()})

    def batches() -> object:
        yield pa.record_batch([pa.array([1])], schema=schema)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rating_files.write_table(tmp_path / "out.csv", schema, batches())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SourceError, match=r"must end in \.csv or \.parquet"):
        rating_files.check_output(tmp_path / "out.txt")
