"""Decompress files: gzip, bzip2, xz, zstd and zip, within limits.

Compression is recognized by content, not by name. A file that decompresses to more than MAX_GROWTH times its
size is refused, because a small archive must not exhaust the machine.
"""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from importlib.resources.abc import Traversable
from typing import IO, Any

import pyarrow as pa

from seeds.files.report import SourceError, shown

MAX_LAYERS = 3  # of nested compression
MAX_GROWTH = 300  # times the compressed size; real rating files stay below 30
FREE_BYTES = 64 << 20  # decompressed before MAX_GROWTH applies
XZ_MEMORY_BYTES = 256 << 20
HEAD_BYTES = 1 << 20  # read to recognize encodings


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


def unpacked(raw: IO[bytes], file: Traversable) -> io.BufferedReader:
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
