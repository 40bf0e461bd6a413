"""Load movies from a file, in one transaction: valid rows are stored, and the others counted by reason."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from app.catalog.batches import rows as batch_rows
from app.catalog.batches import store
from app.catalog.batches.edit import record
from app.catalog.batches.fields import fields_of
from app.catalog.batches.rows import Given, RowOutcome, RowStatus
from app.catalog.validation import InvalidMovie
from recommender.progress import Progress
from seeds.files.named_columns import NamedColumns
from seeds.files.records import records
from seeds.files.report import Report
from seeds.store.dataset import transaction

CHUNK = 2_000  # movies of one statement
RECORDED = 2_000  # changes that services read movie by movie; after more they read the whole catalog
MAX_REASONS = 50
OTHER = "another rule"


def load(address: str, path: Path, source: str, names: NamedColumns, progress: Progress) -> Report:
    """Add the movies of a file that the source does not have yet, and change those that differ.

    The same file again changes nothing. Raises SourceError if the file cannot be read; then nothing is
    stored.
    """
    report = Report(source)
    given = rows_of(path, names, report)
    seen: dict[str, int] = {}
    changed: list[int] = []
    with transaction(address, progress) as connection:
        ((since,),) = connection.execute(store.LOCK).fetchall()
        while chunk := list(islice(given, CHUNK)):
            rows, refused = batch_rows.read(chunk, seen)
            stored, ids = store.store(connection, source, rows)
            changed += ids
            count(report, path, [*refused, *stored])
            progress(f"{len(seen):,} movies", 0.0)
        if 0 < len(changed) <= RECORDED:
            record(connection, since, changed)
    return report


def rows_of(path: Path, names: NamedColumns, report: Report) -> Iterator[Given]:
    for line, values, is_text in records(path, names, report):
        try:
            external_id, fields = fields_of(values, names, is_text=is_text)
        except InvalidMovie as error:
            skip(report, path, line, str(error), str(next(iter(values.values()), "")))
        else:
            yield Given(line, external_id, fields)


def count(report: Report, path: Path, outcomes: list[RowOutcome]) -> None:
    movies = report.movies
    for outcome in batch_rows.in_order(outcomes):
        match outcome.status:
            case RowStatus.ADDED:
                movies.added += 1
            case RowStatus.UPDATED:
                movies.updated += 1
            case RowStatus.UNCHANGED:
                movies.unchanged += 1
            case RowStatus.REFUSED:
                skip(report, path, outcome.position, str(outcome.error), outcome.external_id)


def skip(report: Report, path: Path, line: int, reason: str, text: str) -> None:
    """Count a row by its reason; those beyond MAX_REASONS together."""
    known = reason in report.skipped or len(report.skipped) < MAX_REASONS
    report.skip(reason if known else OTHER, str(path), line, text)
