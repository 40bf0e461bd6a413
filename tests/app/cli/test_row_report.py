"""Reports of unused rows: by reason, with three examples, on 80 columns; all of them on demand."""

import pytest

from app.cli.row_report import EXAMPLES, unused_rows
from seeds.files.report import SAMPLES, Report

LONG = "unknown movie; " * 12


@pytest.fixture
def report() -> Report:
    made = Report("data")
    for line in range(1, 1_201):
        made.skip(
            "the rating is off the scale", "/a/long/folder/ratings.csv", line, f"1,2,{line} " + "x" * 300
        )
    for line in range(1, 4_001):
        made.put_aside(LONG, "ratings.csv", line, "1,2,3")
    return made


def test_rows_are_counted_by_reason_with_examples_on_80_columns(report: Report) -> None:
    text = "\n".join(unused_rows(report, verbose=False, width=80))
    assert max(map(len, text.splitlines())) <= 80
    assert "1,200 rows invalid: the rating is off the scale" in text
    assert text.count("  ratings.csv, line ") == 2 * EXAMPLES
    assert "4,000 rows set aside" in text
    assert text.endswith("More examples: --verbose, or --json.")


def test_verbose_prints_all_examples_in_full(report: Report) -> None:
    lines = list(unused_rows(report, verbose=True, width=80))
    assert sum("ratings.csv, line" in line for line in lines) == 2 * SAMPLES
    assert max(map(len, lines)) > 80
    assert len(report.as_dict()["skipped"]["the rating is off the scale"]["samples"]) == SAMPLES
