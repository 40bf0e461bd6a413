"""Times in rating files: units, orders of dates, and rows without one."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from app.offline.rating_files import Reading
from seeds.files.rating_cells import DayOrder
from seeds.files.report import SourceError
from tests.app.offline.test_rating_columns import JANUARY, read, written


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (("03/02/2014", "15/01/2014"), None),
        (("02/03/2014", "01/15/2014"), None),
        (("03/02/2014", "15/01/2014"), DayOrder.DMY),
        (("2/3/14", "1/15/14"), DayOrder.MDY),
        (("03.02.2014", "15.01.2014"), None),
    ],
)
def test_the_file_or_the_option_decides_the_order_of_dates(
    tmp_path: Path, texts: tuple[str, str], order: DayOrder | None
) -> None:
    text = f"user_id,movie_id,rating,date\n1,1,4,{texts[0]}\n1,2,4,{texts[1]}\n"
    rows, _ = read(written(tmp_path, text), Reading(day_order=order))
    assert [str(np.datetime64(int(time), "s"))[:10] for time in rows.timestamps] == [
        "2014-02-03",
        "2014-01-15",
    ]


def test_ambiguous_dates_need_the_option(tmp_path: Path) -> None:
    text = "user_id,movie_id,rating,date\n1,1,4,03/02/2014\n"
    with pytest.raises(SourceError, match=r"column date: .*--dates DMY .*--dates MDY"):
        read(written(tmp_path, text))
    parquet.write_table(
        pa.table({"user_id": [1], "movie_id": [1], "rating": [4], "date": ["03/02/2014"]}),
        tmp_path / "r.parquet",
    )
    with pytest.raises(SourceError, match=r"column date: .*--dates DMY"):
        read(tmp_path / "r.parquet")
    with pytest.raises(SourceError, match="line 3: column date: is a date with the month first"):
        read(written(tmp_path, "user_id,movie_id,rating,date\n1,1,4,15/01/2014\n1,2,4,01/15/2014\n"))


def test_rows_without_a_time_are_noted(tmp_path: Path) -> None:
    reading = Reading()
    file = written(tmp_path, "user_id,movie_id,rating,timestamp\n7,31,4,\n7,32,4,1389744000\n")
    rows, _ = read(file, reading)
    assert rows.timestamps.tolist() == [0, JANUARY]
    assert any("1 of 2 rows have no time" in note for note in reading.notes)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_units_of_times_are_recognized(tmp_path: Path, unit: int) -> None:
    text = f"user_id,movie_id,rating,timestamp\n1,1,4,{JANUARY * unit}\n1,2,4,{(JANUARY + 60) * unit}\n"
    assert read(written(tmp_path, text))[0].timestamps.tolist() == [JANUARY, JANUARY + 60]
