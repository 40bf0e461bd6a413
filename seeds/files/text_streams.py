"""Open files as streams of UTF-8: decompressed and decoded, with limits.

Compression is recognized by content, not by name. A file that decompresses to more than MAX_GROWTH times its
size is refused, because a small archive must not exhaust the machine.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import IO, Any

import pyarrow as pa

from seeds.files.report import SourceError, shown

MAX_LINE_BYTES = 16 << 20
MAX_LAYERS = 3  # of nested compression
MAX_GROWTH = 300  # times the compressed size; real rating files stay below 30
FREE_BYTES = 64 << 20  # decompressed before MAX_GROWTH applies
XZ_MEMORY_BYTES = 256 << 20
HEAD_BYTES = 1 << 20  # read to recognize encodings
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
}


@contextmanager
def open_text(file: Traversable, note: Callable[[str], None] | None = None) -> Iterator[io.BufferedReader]:
    """Open a file as UTF-8 without a byte order mark. `note` receives notes for the user.

    Raises SourceError if the content is damaged, is not text, or exceeds MAX_GROWTH.
    """
    with file.open("rb") as raw:
        yield _decoded(_unpacked(raw, file), file, note)


def bounded_lines(stream: io.BufferedReader, file: Traversable) -> Iterator[bytes]:
    """Yield lines with their line ends. Raises SourceError for one longer than MAX_LINE_BYTES."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise SourceError(f"{file}, line {number}: longer than {MAX_LINE_BYTES} bytes")
        yield line


class _Unpacked(io.RawIOBase):
    """The bytes of a decompressor. Raises SourceError for damage and for growth beyond the limit."""

    def __init__(self, source: Any, file: Traversable, packed: Callable[[], int]) -> None:
        self._source, self._file, self._packed, self._bytes = source, file, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = _filled(self._source, len(buffer))
        except (
            OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, zipfile.BadZipFile,
            NotImplementedError, RuntimeError,
        ) as error:  # fmt: skip
            raise SourceError(f"{self._file} cannot be unpacked: {shown(str(error))}") from None
        self._bytes += len(data)
        if self._bytes > FREE_BYTES and self._bytes > MAX_GROWTH * max(1, self._packed()):
            raise SourceError(
                f"{self._file} unpacks to more than {MAX_GROWTH} times its size: unpack it to read it"
            )
        buffer[: len(data)] = data
        return len(data)


def _filled(source: Any, size: int) -> bytes:
    """Read until `size` bytes or the end, since decompressors may return fewer bytes at once."""
    parts = []
    while size and (data := source.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


class _Xz:
    """Decompress xz with a memory limit, which `lzma.open` does not support."""

    def __init__(self, source: io.BufferedReader) -> None:
        self._source, self._rest = source, b""
        self._decoder = self._fresh()

    def read(self, size: int) -> bytes:
        while True:
            if self._decoder.eof:
                self._rest = (self._decoder.unused_data or self._source.read1(1 << 16)).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._decoder = self._fresh()
            elif self._decoder.needs_input and not self._rest:
                self._rest = self._source.read1(1 << 16)
                if not self._rest:
                    raise EOFError("it is truncated")
            data = self._decoder.decompress(self._rest, size)
            self._rest = b""
            if data:
                return data

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)


def _unpacked(raw: IO[bytes], file: Traversable) -> io.BufferedReader:
    """Remove at most MAX_LAYERS of compression."""
    # Growth is measured against the bytes read from the file itself.
    counted = _Counted(raw, file)
    stream: io.BufferedReader[Any] = io.BufferedReader(counted, HEAD_BYTES)
    for _ in range(MAX_LAYERS):
        source = _decompressor(stream, file)
        if source is None:
            return stream
        stream = io.BufferedReader(_Unpacked(source, file, lambda: counted.count), HEAD_BYTES)
    if _decompressor(stream, file) is not None:
        raise SourceError(f"{file} is compressed more than {MAX_LAYERS} times")
    return stream


class _Counted(io.RawIOBase):
    """The file's bytes, counted; inside a zip, the compressed bytes are counted."""

    def __init__(self, raw: IO[bytes], file: Traversable) -> None:
        self._raw, self._file, self.count, self._bytes = raw, file, 0, 0
        self._share = _compressed_share(file)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._raw.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise SourceError(f"{self._file} cannot be unpacked: {shown(str(error))}") from None
        self._bytes += len(data)
        self.count = int(self._bytes * self._share)
        if self._share < 1 and self._bytes > FREE_BYTES and self._bytes > MAX_GROWTH * max(1, self.count):
            raise SourceError(f"{self._file} unpacks to more than {MAX_GROWTH} times its size")
        buffer[: len(data)] = data
        return len(data)


def _compressed_share(file: Traversable) -> float:
    if not isinstance(file, zipfile.Path):
        return 1.0
    info = file.root.getinfo(file.at)
    return min(1.0, info.compress_size / max(1, info.file_size))


def _decompressor(stream: io.BufferedReader, file: Traversable) -> Any:
    """A decompressor of the stream, or None if it is not compressed."""
    head = stream.peek(8)[:8]
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if re.match(rb"BZh[1-9]1AY&SY", stream.peek(10)[:10]):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\0"):
        return _Xz(stream)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
    if head.startswith(b"PK\x03\x04"):
        return _only_member(stream, file)
    return None


def _only_member(stream: io.BufferedReader, file: Traversable) -> Any:
    if not stream.seekable():
        raise SourceError(f"{file} is a zip inside another file: unpack it")
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{file} cannot be unpacked: {shown(str(error))}") from None
    names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
    if "[Content_Types].xml" in names:
        raise SourceError(f"{file} is an Excel workbook: save it as CSV")
    if len(names) != 1:
        raise SourceError(f"{file} holds {len(names)} files: unpack it and name the one to read")
    try:
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:  # encrypted, unknown method
        raise SourceError(f"{file} cannot be unpacked: {shown(str(error))}") from None


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
    for mark, name in _OTHER_FORMATS.items():
        if head.startswith(mark):
            raise SourceError(f"{file} is not text, but {name}")
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
