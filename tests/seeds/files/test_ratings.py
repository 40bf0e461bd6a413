"""Files of ratings, whole and damaged."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from seeds.files import rating_blocks, rating_columns, rating_parsing, ratings
from seeds.files.archives import find, open_source
from seeds.files.rating_rows import RatingFormat, RatingRows, order_by_pair
from seeds.files.ratings import read_ratings
from seeds.files.report import Report, SourceError, UnusableRowError, quiet

CSV = RatingFormat(header=True)
DAT = RatingFormat(separator="::", header=False)
TENS = RatingFormat(separator="::", header=False, half_stars_per_unit=1)


def read(path: Path, content: bytes, layout: RatingFormat, report: Report | None = None) -> RatingRows:
    path.write_bytes(content)
    return read_ratings(path, layout, report or Report("test", strict=True), quiet)


def rows(of: RatingRows) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in row) for row in zip(*of.columns(), strict=True)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_bom_crlf_quotes_column_order_and_a_missing_last_line_end_do_not_matter(
    tmp_path: Path, end: bytes, bom: bytes
) -> None:
    content = bom + end.join(
        [b"timestamp,userId,movieId,rating", b"964982703,1,2,4.5", b'964982704,"2","1","0.5"']
    )
    assert rows(read(tmp_path / "ratings.csv", content, CSV)) == [
        (1, 2, 9, 964982703, 2),
        (2, 1, 1, 964982704, 3),
    ]


def test_dat_and_a_scale_of_ten(tmp_path: Path) -> None:
    assert rows(read(tmp_path / "r.dat", b"7::0054890::4.5::900000000\n", DAT)) == [
        (7, 54890, 9, 900000000, 1)
    ]
    assert rows(read(tmp_path / "r.dat", b"7::0054890::9::900000000\n", TENS)) == [
        (7, 54890, 9, 900000000, 1)
    ]


BROKEN = b"""userId,movieId,rating,timestamp
1,1,4.0,964982703
x,1,4.0,964982703
1,2,4.3,964982703

1,3,5.5,964982703
1,4,0,964982703
1,5,3.0,-5
1,6,3.0,964982703000
1,7,3.0
1,8,3.0,964982703,9
1,9,,964982703
1,99999999999999999999,3.0,964982703
2,1,3.5,964982703
"""


@pytest.mark.parametrize("block", [40, 1 << 24])
def test_every_unusable_row_is_counted_and_shown_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(rating_blocks, "BLOCK_BYTES", block)
    report = Report("test")
    good = read(tmp_path / "ratings.csv", BROKEN, CSV, report)
    assert rows(good) == [(1, 1, 8, 964982703, 2), (2, 1, 7, 964982703, 14)]
    assert {reason: [s.line for s in entry.samples] for reason, entry in report.skipped.items()} == {
        "column userId: is not a whole number": [3],
        rating_parsing.FIELD_COUNT: [10, 11],
        "column rating: is empty": [12],
        "column movieId: is not a whole number": [13],
        ratings.OFF_SCALE: [4, 6, 7],
        "column timestamp: not a time between 1970 and 2100 in seconds": [8, 9],
    }
    assert report.skipped_count == len(BROKEN.splitlines()) - 1 - len(good) - 1
    assert report.skipped[ratings.OFF_SCALE].samples[0].text == "4.3 by user 1, movie 2"


def test_strict_stops_at_the_first_unusable_row_and_names_it(tmp_path: Path) -> None:
    with pytest.raises(UnusableRowError, match=r"ratings\.csv, line 3: column userId: .*'x' in x,1,4\.0"):
        read(tmp_path / "ratings.csv", BROKEN, CSV)


def test_of_a_movie_rated_twice_the_latest_rating_counts(tmp_path: Path) -> None:
    report = Report("test", strict=True)
    content = b"2::9::1.0::50\n1::5::2.0::900\n1::5::3.0::100\n1::5::2.0::900\n2::1::4.0::60\n"
    assert rows(read(tmp_path / "r.dat", content, DAT, report)) == [
        (1, 5, 4, 900, 4), (2, 1, 8, 60, 5), (2, 9, 2, 50, 1)
    ]  # fmt: skip
    assert {reason: entry.samples[0].line for reason, entry in report.set_aside.items()} == {
        ratings.RATED_TWICE: 3, ratings.REPEATED: 2
    }  # fmt: skip


def test_blocks_join_without_a_seam_inside_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rating_blocks, "BLOCK_BYTES", 1000)
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(1, 201), 5)
    items = np.tile(np.arange(1, 6), 200)
    half = rng.integers(1, 11, 1000)
    lines = [f"{u},{i},{h / 2},{900000000 + u}" for u, i, h in zip(users, items, half, strict=True)]
    lines[700] = "700,broken"
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml/ratings.csv", "\n".join(["userId,movieId,rating,timestamp", *lines]))
    file = find(open_source(tmp_path / "ml.zip"), "ratings.csv")
    assert file is not None
    report, fractions = Report("test"), []
    good = read_ratings(file, CSV, report, lambda _, fraction: fractions.append(fraction))
    kept = np.delete(np.arange(1000), 700)
    np.testing.assert_array_equal(good.user_ids, users[kept])
    np.testing.assert_array_equal(good.half_stars, half[kept])
    np.testing.assert_array_equal(good.lines, kept + 2)
    assert [entry.samples[0].line for entry in report.skipped.values()] == [702]
    assert fractions == sorted(fractions)
    assert len(fractions) > 10


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column is recognized as the movie or the rating"):
        read(tmp_path / "ratings.csv", b"userId,timestamp\n1,2\n", CSV)


@pytest.mark.parametrize("n_items", [3, 100_000])
def test_the_order_by_pair_is_that_of_a_sort_by_all_columns(n_items: int) -> None:
    rng = np.random.default_rng(2)
    users = rng.choice(np.array([-5, 7, 1 << 61, 12]), 2_000)
    items, times = rng.integers(-3, n_items, 2_000), rng.integers(0, 3, 2_000)
    lines = rng.permutation(2_000).astype(np.uint32)
    expected = np.lexsort((lines, times, items, users))
    np.testing.assert_array_equal(order_by_pair(users, items, times, lines), expected)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([20140131, 19700101], [1391126400, 0]),
        ([20140131235959, 19700101000001], [1391212799, 1]),
        ([20140131, 1391126400], [20140131, 1391126400]),
        ([1391126400, 1391126401], [1391126400, 1391126401]),
    ],
)
def test_numbers_that_are_all_days_are_days(times: list[int], seconds: list[int]) -> None:
    found, _ = rating_columns._seconds(np.array(times, float), np.ones(len(times), bool))
    assert found.tolist() == seconds
