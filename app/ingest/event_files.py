"""Ingest a file of events, in batches. A second call continues behind the last stored line."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from io import BufferedReader
from pathlib import Path

from app.ingest.clean_events import Batch, Line, Stream
from app.ingest.store_events import Store
from app.ingest.stream_events import MAX_LINE_BYTES
from recommender.progress import Progress

BATCH_LINES, BATCH_BYTES = 10_000, 8 << 20
_PARTITION = 0  # a file has one; positions are in bytes


def ingest(path: Path, source: str, store: Store, progress: Progress) -> Counter[str]:
    """Store the events of a file from the last stored position on. Returns the counts by outcome.

    A line that has no end yet counts as a line.
    """
    total: Counter[str] = Counter()
    with path.open("rb") as file:
        stream = Stream(name_of(file, path), source)
        size = max(path.stat().st_size, 1)
        file.seek(store.positions(stream.name).get(_PARTITION, 0))
        for lines in batches(file):
            total += store.store(stream, Batch(lines, {_PARTITION: file.tell()}, {_PARTITION: size}))
            progress(f"{total.total():,} events", file.tell() / size)
    return total


def name_of(file: BufferedReader, path: Path) -> str:
    """The stream of a file: its name and first line, so that another file with the name is another stream."""
    file.seek(0)
    first = sha256(file.readline(MAX_LINE_BYTES)).hexdigest()[:12]
    return f"file:{path.name}@{first}"


def batches(file: BufferedReader) -> Iterator[list[Line]]:
    """The lines from the file's position on. Of a line that is too long, the beginning."""
    lines: list[Line] = []
    size, position = 0, file.tell()
    while text := file.readline(MAX_LINE_BYTES + 2):
        start, position = position, position + len(text)
        rest = text
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES)
            position += len(rest)
        lines.append(Line(_PARTITION, start, text.rstrip(b"\r\n")))
        size += len(text)
        if len(lines) == BATCH_LINES or size >= BATCH_BYTES:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines
