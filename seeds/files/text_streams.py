"""Open files as streams of UTF-8: decompressed and decoded."""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Any

from seeds.files.compression import HEAD_BYTES, unpacked
from seeds.files.report import SourceError

MAX_LINE_BYTES = 16 << 20
MAX_CONTROL_SHARE = 0.02  # of the bytes of a text

_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\x0b\x0c\x1a\x1b")) + b"\x7f"
# Windows-1252, and ISO 8859-1 for the bytes that it leaves undefined.
_WESTERN = "".join(
    char if char != "\ufffd" else chr(byte)
    for byte, char in enumerate(bytes(range(256)).decode("cp1252", "replace"))
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PARQUET_MARK = b"PAR1"
_OTHER_FORMATS = {
    PARQUET_MARK: "a Parquet file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (save it as CSV)",
    b"ARROW1": "an Arrow file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"7z\xbc\xaf": "a 7z archive (unpack it)",
    b"Rar!": "a RAR archive (unpack it)",
    b"\x1f\x9d": "compressed with compress (unpack it)",
    b"\x04\x22\x4d\x18": "compressed with LZ4 (unpack it)",
    b"\x5d\0\0": "compressed with LZMA (unpack it, or use xz)",
    b"LZIP": "compressed with lzip (unpack it)",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_HTML = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)


@contextmanager
def open_text(file: Traversable, note: Callable[[str], None] | None = None) -> Iterator[io.BufferedReader]:
    """Open a file as UTF-8 without a byte order mark. `note` receives notes for the user.

    Raises SourceError if the content is damaged, is not text, or exceeds MAX_GROWTH.
    """
    with file.open("rb") as raw:
        yield _with_newlines(_decoded(unpacked(raw, file), file, note))


def bounded_lines(stream: io.BufferedReader, file: Traversable) -> Iterator[bytes]:
    """Yield lines with their line ends. Raises SourceError for one longer than MAX_LINE_BYTES."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise SourceError(f"{file}, line {number}: longer than {MAX_LINE_BYTES} bytes")
        yield line


class _Transcoded(io.RawIOBase):
    """Convert a stream in another encoding to UTF-8."""

    def __init__(self, stream: io.BufferedReader, decode: Callable[[bytes, bool], str]) -> None:
        self._stream, self._decode, self._rest, self._ended = stream, decode, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._rest) < len(buffer) and not self._ended:
            data = self._stream.read(len(buffer))
            self._ended = not data
            self._rest += self._decode(data, not data).encode("utf-8", "replace")
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _decoded(
    stream: io.BufferedReader, file: Traversable, note: Callable[[str], None] | None
) -> io.BufferedReader:
    """Detect the encoding and convert it to UTF-8. Raises SourceError for a binary format."""
    head = stream.peek(HEAD_BYTES)
    for mark, marked in _BOMS:
        if head.startswith(mark):
            stream.read(len(mark))
            return stream if marked == "utf-8" else _transcoded(stream, marked)
    if encoding := _wide_encoding(head):
        return _transcoded(stream, encoding)
    _refuse_other_formats(head, file)
    sample = head[: 1 << 16]
    if sum(map(sample.count, map(bytes, zip(_CONTROL, strict=True)))) > max(
        8, MAX_CONTROL_SHARE * len(sample)
    ):
        raise SourceError(f"{file} is not text")
    if _is_western(head):
        if note is not None:
            note(f"{file} is not UTF-8: it is read as Windows-1252")
        return io.BufferedReader(_Transcoded(stream, _western), HEAD_BYTES)
    return stream


def _refuse_other_formats(head: bytes, file: Traversable) -> None:
    """Raise SourceError for a known format that is not data as text."""
    for mark, name in _OTHER_FORMATS.items():
        if head.startswith(mark):
            raise SourceError(f"{file} is not text, but {name}")
    if head[_TAR_MARK_AT:].startswith(_TAR_MARK):
        raise SourceError(f"{file} is a tar archive: unpack it and name the file to read")
    if _HTML.match(head[:1000]):
        raise SourceError(f"{file} is a web page instead of data: download the file itself")


def _with_newlines(stream: io.BufferedReader) -> io.BufferedReader:
    """Convert line ends of carriage returns alone, as old spreadsheets write them."""
    head = stream.peek(HEAD_BYTES)
    if b"\r" not in head[:-1] or b"\n" in head:
        return stream
    return io.BufferedReader(_Replaced(stream), HEAD_BYTES)


class _Replaced(io.RawIOBase):
    """A stream with line feeds for carriage returns."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)


def _western(data: bytes, _is_last: bool) -> str:
    return codecs.charmap_decode(data, "strict", _WESTERN)[0]


def _transcoded(stream: io.BufferedReader, encoding: str) -> io.BufferedReader:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return io.BufferedReader(_Transcoded(stream, decoder.decode), HEAD_BYTES)


def _wide_encoding(head: bytes) -> str | None:
    """Detect UTF-16 without a byte order mark, in which every second byte of Latin text is zero."""
    even, odd = head[::2], head[1::2]
    if len(head) < 4:  # noqa: PLR2004 - two characters
        return None
    if odd.count(0) > 0.7 * len(odd) and even.count(0) == 0:
        return "utf-16-le"
    if even.count(0) > 0.7 * len(even) and odd.count(0) == 0:
        return "utf-16-be"
    return None


def _is_western(head: bytes) -> bool:
    """Whether there are non-ASCII bytes, and none of them form a UTF-8 character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return _MULTIBYTE.search(head) is None
    return False
