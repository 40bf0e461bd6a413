"""Split a file of ratings into blocks of whole rows, and a block into rows."""

import io
import re
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from seeds.files.report import SourceError

BLOCK_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20
MAX_ROW_LINES = 2_000  # of a row with line breaks inside quotes
MAX_UNCLOSED = 20  # unclosed quotes in a block; more are taken for inch marks and the like


def blocks(stream: io.BufferedReader, line: int, file: Traversable) -> Iterator[tuple[int, bytes]]:
    """Yield (line of the first row, bytes) of blocks of complete rows."""
    while block := stream.read(BLOCK_BYTES):
        rest = _line(stream, file, line) if not block.endswith(b"\n") else b""
        block += rest
        more: list[bytes] = []
        is_open = block.count(b'"') % 2 == 1
        while is_open and len(more) < MAX_ROW_LINES and (rest := _line(stream, file, line)):
            more.append(rest)
            is_open = rest.count(b'"') % 2 == 0
        block += b"".join(more)
        yield line, block
        line += block.count(b"\n")


def _line(stream: io.BufferedReader, file: Traversable, after: int) -> bytes:
    text = stream.readline(MAX_LINE_BYTES)
    if len(text) == MAX_LINE_BYTES:
        raise SourceError(f"{file}, after line {after}: a line is longer than {MAX_LINE_BYTES} bytes")
    return text


def row_lines(block: bytes, line: int) -> NDArray[np.uint32]:
    """The line of each row, uint32 (n,), if no row spans lines. Empty lines are not rows."""
    if not block:
        return np.empty(0, np.uint32)
    n = block.count(b"\n") + (not block.endswith(b"\n"))
    if b"\n\n" not in block and b"\n\r\n" not in block and not block.startswith((b"\n", b"\r\n")):
        return np.arange(line, line + n, dtype=np.uint32)
    filled = [bool(text.strip(b"\r")) for text in block.split(b"\n")[:n]]
    return (np.flatnonzero(filled) + line).astype(np.uint32)


def rows(block: bytes, line: int, separator: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each non-empty row, which may have line breaks inside quotes."""
    lines = block.split(b"\n")
    at = unclosed = 0
    while at < len(lines):
        first, end = at, at + 1
        if b'"' in lines[at] and len(separator) == 1 and unclosed < MAX_UNCLOSED:
            end = _end_of_row(lines, at, separator.encode())
            unclosed += end == 0
        at = end or at + 1
        if text := b"\n".join(lines[first:at]).strip(b"\r"):
            yield line + first, text.decode("utf-8", "replace")


def _end_of_row(lines: Sequence[bytes], first: int, separator: bytes) -> int:
    """The index after the last line of the row that begins at `first`; 0 if a quote is not closed."""
    marks = re.compile(b'[" ]|' + re.escape(separator) + b'|[^" ' + re.escape(separator) + b"]+")
    is_inside = False
    for at in range(first, min(len(lines), first + MAX_ROW_LINES)):
        is_start = True
        for mark in marks.findall(lines[at]):
            if mark == b'"' and (is_inside or is_start):
                is_inside = not is_inside
                is_start = True  # a quote within quotes is written twice
            else:
                is_start = mark == separator or (is_start and mark == b" ")
        if not is_inside:
            return at + 1
    return 0
