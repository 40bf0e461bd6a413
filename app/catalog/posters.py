"""Posters of movies without one: SVG with title, year, director and a pattern, under MAX_BYTES."""

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from starlette.requests import Request
from starlette.responses import Response

from app.catalog.poster_art import art
from app.serving.cards import Card

DRAWING = 1  # raise it with each change of the drawing, so that caches fetch the new one
MAX_BYTES = 2048
LONGEST_TITLE, LONGEST_LINE = 120, 60  # characters that are drawn
SHORTEST_CUT = 20  # characters of a title that is cut
WIDTH, HEIGHT, MARGIN = 500, 750, 40
BOTTOM = 668  # baseline of the last line of the title
SIZES = ((66, 2), (56, 3), (46, 4), (38, 5), (31, 6))  # of the title's font, and the most lines in it
FONT = "Avenir Next,Segoe UI,Inter,Noto Sans,DejaVu Sans,Helvetica,Arial,sans-serif"
FOREVER = "public, max-age=31536000, immutable"
FOR_NOW = "public, max-age=300"
HASH_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class PosterFacts:
    """The facts that a poster shows."""

    movie_id: int
    title: str
    year: int | None
    genres: tuple[str, ...]
    director: str

    @classmethod
    def of(cls, card: Card) -> "PosterFacts":
        names = [person.name for person in card.directors[:2]]
        return cls(
            card.id, card.title, card.year, tuple(genre.name for genre in card.genres), " & ".join(names)
        )

    @property
    def digest(self) -> str:
        """The hash of all that decides the drawing."""
        text = repr((DRAWING, self.movie_id, self.title, self.year, self.genres, self.director))
        return hashlib.blake2b(text.encode(errors="replace")).hexdigest()[:HASH_CHARACTERS]


def poster_path(card: Card) -> str:
    """The path of a movie's drawn poster; another one when a fact on it changes."""
    return f"/poster/{card.id}.svg?v={PosterFacts.of(card).digest}"


async def poster(request: Request) -> Response:
    """Serve `/poster/{movie_id}.svg`. With the hash of the drawing in `v`, caches may keep it for ever."""
    snapshot = request.state.live.served.snapshot
    position = snapshot.position(request.path_params["movie_id"])
    if position is None:
        return Response("There is no such movie.", 404, {"Cache-Control": "no-store"}, "text/plain")
    facts = PosterFacts.of(snapshot.cards[position])
    etag = f'"{facts.digest}"'
    headers = {
        "ETag": etag,
        "Cache-Control": FOREVER if request.query_params.get("v") == facts.digest else FOR_NOW,
        "Cross-Origin-Resource-Policy": "cross-origin",  # pages of other origins show it
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(drawn(facts), headers=headers, media_type="image/svg+xml")


def drawn(facts: PosterFacts) -> bytes:
    """The poster as SVG. A title that takes too many bytes is cut."""
    longest = LONGEST_TITLE
    while len(svg := drawn_with(facts, longest)) >= MAX_BYTES and longest > SHORTEST_CUT:
        longest -= SHORTEST_CUT
    return svg


def drawn_with(facts: PosterFacts, longest: int) -> bytes:
    """The poster with at most `longest` characters of the title."""
    colors, pattern = art(facts.genres, facts.movie_id)
    title = printable(facts.title)
    cut = title
    if len(title) > longest:
        cut = title[: max(title.rfind(" ", longest - SHORTEST_CUT, longest), longest - SHORTEST_CUT)] + "…"
    size, rows = fitted(cut or "?")
    rtl = is_rtl(title)
    edge, way = (WIDTH - MARGIN, ' direction="rtl"') if rtl else (MARGIN, "")
    step = round(size * 1.14)
    top = BOTTOM - step * (len(rows) - 1)
    spans = "".join(
        f'<tspan x="{edge}" y="{top + step * row}">{escape(text, quote=False)}</tspan>'
        for row, text in enumerate(rows)
    )
    year = "" if facts.year is None else str(facts.year)
    foot = "  ·  ".join(filter(None, [year, shortened(printable(facts.director))]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="{FONT}">'
        '<linearGradient id="a" x2="0" y2="1">'
        f'<stop stop-color="{colors.above}"/><stop offset=".86" stop-color="{colors.below}"/>'
        '</linearGradient><linearGradient id="b" x2="0" y2="1">'
        f'<stop offset=".4" stop-color="{colors.below}" stop-opacity="0"/>'
        f'<stop offset=".78" stop-color="{colors.below}"/></linearGradient>'
        f'<path d="M0 0h{WIDTH}v{HEIGHT}H0Z" fill="url(#a)"/>{pattern}'
        f'<path d="M0 0h{WIDTH}v{HEIGHT}H0Z" fill="url(#b)"/>'
        f'<text font-size="{size}" font-weight="700" fill="#fff"{way}>{spans}</text>'
        f'<text x="{MARGIN}" y="714" font-size="20" letter-spacing="1" fill="{colors.one}">'
        f"{escape(foot, quote=False)}</text></svg>"
    ).encode(errors="replace")


def printable(text: str) -> str:
    """The text in one line, without characters that XML forbids or that draw nothing."""
    kept = (char if unicodedata.category(char) not in ("Cc", "Cs", "Cn", "Co") else " " for char in text)
    return " ".join("".join(kept).split())


def shortened(text: str) -> str:
    """The text as far as it fits the last line."""
    if width(text) <= (WIDTH - 2 * MARGIN) / 20 - 5:
        return text[:LONGEST_LINE]
    first, _, rest = text.partition(" & ")
    return shortened(first) if rest else text[:22].rstrip() + "…"


def is_rtl(text: str) -> bool:
    """Whether the first letter with a direction is written from right to left."""
    ways = (unicodedata.bidirectional(char) for char in text)
    return next((way for way in ways if way in ("L", "R", "AL")), "L") != "L"


def fitted(title: str) -> tuple[int, list[str]]:
    """The largest size of the font in which the title fits, and its lines."""
    for size, most in SIZES:
        room = (WIDTH - 2 * MARGIN) / size
        rows = list(wrapped(title, room))
        whole = not title.isascii() or all(width(word) <= room for word in title.split())
        if len(rows) <= most and whole:
            return size, rows
    if len(rows) <= most:
        return size, rows
    rows = rows[:most]
    rows[-1] = rows[-1][:-1].rstrip() + "…"
    return size, rows


def wrapped(title: str, room: float) -> Iterator[str]:
    """Lines of at most `room` em. Words stay whole if they fit a line; other scripts break at a character."""
    line = ""
    for word in title.split(" "):
        joined = f"{line} {word}" if line else word
        if width(joined) <= room:
            line = joined
            continue
        if line:
            yield line
        line = ""
        for char in word:
            if width(line + char) > room and advance(char):
                yield line
                line = ""
            line += char
    if line:
        yield line


def width(text: str) -> float:
    """An estimate of the width of a bold text, in em."""
    return sum(map(advance, text))


def advance(char: str) -> float:
    """An estimate of the width of a character, in em."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 1.02
    if char in " .,:;'!|iIjl·’":
        return 0.38
    if char in 'ftr()-/[]"':
        return 0.49
    if char in "mwMW@%—…":
        return 1.05
    return 0.8 if char.isupper() else 0.69
