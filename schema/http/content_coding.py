"""Decode the body of a request that has a content coding."""

import asyncio
import zlib
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers

from app.web.zstd import ZstdDecompressor, ZstdError, decompressor
from schema.execution.limits import too_complex
from schema.execution.refusal import Refused
from schema.http.content_negotiation import shown

MAX_MEMBERS = 8  # of a gzip body, or frames of a zstd one; each copies the rest of the body


def content_coding(headers: Headers) -> str | None:
    """The content coding of the body. Raises Refused(415) for an unknown one, or for several."""
    listed = (coding.strip().lower() for coding in ",".join(headers.getlist("content-encoding")).split(","))
    codings = [coding.removeprefix("x-") for coding in listed if coding not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in DECODERS:
        found = f"`Content-Encoding: {shown(', '.join(codings))}`"
        rule = f"send one of {', '.join(DECODERS)}, or none"
        raise Refused(f"{found} is not supported: {rule}.", 415, {"Accept-Encoding": ", ".join(DECODERS)})
    return codings[0]


async def decompressed(body: bytes, coding: str, limit: int) -> bytes:
    """Decode the body in a thread. Raises Refused for another coding, and for more than `limit` bytes."""
    return await asyncio.to_thread(decompress, body, coding, limit)


def decompress(body: bytes, coding: str, limit: int) -> bytes:
    """Decode at most `limit` bytes, so that a small body cannot fill the memory."""
    parts: list[bytes] = []
    length, rest = 0, body
    for _ in range(MAX_MEMBERS):
        decoder = DECODERS[coding](rest)
        try:
            part = decoder.decompress(rest, limit + 1 - length)
        except (zlib.error, ZstdError) as error:
            raise Refused(f"The body is not {coding}, as Content-Encoding says: {error}.") from None
        parts.append(part)
        length += len(part)
        if length > limit:
            message = f"The body has {{}} bytes or more when its {coding} is decoded"
            raise Refused(too_complex("MAX_BODY_BYTES", message, limit, length), 413)
        if not decoder.eof:
            raise Refused(f"The body is not complete {coding}, as Content-Encoding says: its end is missing.")
        rest = decoder.unused_data
        if not rest:
            return b"".join(parts)
    raise Refused(f"The body has more than {MAX_MEMBERS} parts of {coding}, or other data after them.")


def inflate(body: bytes) -> Any:
    """Decode `deflate`: by RFC 9110 it is the zlib format, but some clients send the bare stream."""
    zlib_format = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if zlib_format else -zlib.MAX_WBITS)


def gunzip(_: bytes) -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def unzstd(_: bytes) -> ZstdDecompressor:
    return decompressor()


DECODERS: dict[str, Callable[[bytes], Any]] = {"gzip": gunzip, "deflate": inflate, "zstd": unzstd}
