"""Read a table as records with the names of its columns: csv, JSON lines or Parquet."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
from pyarrow import parquet

from seeds.files.archives import csv_rows
from seeds.files.named_columns import NamedColumns
from seeds.files.report import Report, SourceError, shown
from seeds.files.text_streams import PARQUET_MARK, bounded_lines, open_text

NOT_JSON = "not a JSON object"
PARQUET_ROWS = 1_000  # at once
SEPARATORS = ",;\t"


class Record(NamedTuple):
    """A row as the file has it, at its line. is_text: whether all values are texts."""

    line: int
    values: Mapping[str, Any]
    is_text: bool


def records(path: Path, names: NamedColumns, report: Report) -> Iterator[Record]:
    """Yield the records of a file; rows that are none are reported. Raises SourceError."""
    with path.open("rb") as raw:
        if raw.read(len(PARQUET_MARK)) == PARQUET_MARK:
            yield from _parquet(path, names, report)
            return
    with open_text(path) as stream:
        head = stream.peek(64).lstrip()[:1]
    if head == b"[":
        raise SourceError(f"{path} is a JSON list: write one object a line")
    yield from _json_lines(path, report) if head == b"{" else _csv(path, names, report)


def _csv(path: Path, names: NamedColumns, report: Report) -> Iterator[Record]:
    header = _header(path, names)
    report.notes += names.check(path, header)
    for line, row in csv_rows(path, list(names.layout(header).values()), report):
        yield Record(line, row, is_text=True)


def _header(path: Path, names: NamedColumns) -> list[str]:
    """The names of the columns, separated so that most are recognized."""
    with open_text(path) as stream:
        first = next((line for line in bounded_lines(stream, path) if line.strip()), b"")
    text = first.decode("utf-8", "replace").rstrip("\r\n")
    if not text:
        raise SourceError(f"{path} is empty")
    rows = [[name.strip() for name in next(csv.reader([text], delimiter=mark))] for mark in SEPARATORS]
    return max(rows, key=lambda row: len(names.layout(row)))


def _json_lines(path: Path, report: Report) -> Iterator[Record]:
    with open_text(path, report.notes.append) as stream:
        for line, text in enumerate(bounded_lines(stream, path), 1):
            if not text.strip():
                continue
            try:
                values = orjson.loads(text)
            except orjson.JSONDecodeError:
                values = None
            if isinstance(values, dict):
                yield Record(line, values, is_text=False)
            else:
                report.skip(NOT_JSON, str(path), line, shown(text.decode("utf-8", "replace").strip()))


def _parquet(path: Path, names: NamedColumns, report: Report) -> Iterator[Record]:
    line = 1
    try:
        with parquet.ParquetFile(path) as file:
            report.notes += names.check(path, file.schema_arrow.names)
            for batch in file.iter_batches(PARQUET_ROWS):
                for values in batch.to_pylist():
                    yield Record(line, values, is_text=False)
                    line += 1
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is damaged: {shown(str(error))}") from None
