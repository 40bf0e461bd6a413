"""Drawn posters: valid, small, escaped SVG for every title, and caching by content."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from app.catalog.poster_art import GENRES
from app.catalog.posters import (
    HEIGHT,
    LONGEST_TITLE,
    MARGIN,
    MAX_BYTES,
    SIZES,
    WIDTH,
    PosterFacts,
    drawn,
    width,
)
from seeds.bundled import read_catalogue
from tests.services import StartServer

SVG = "{http://www.w3.org/2000/svg}"
TITLES = {
    "markup": '<script>alert("1")</script> & Sons\' ]]>',
    "one letter": "M",
    "long": "Night of the Day of the Dawn of the Son of the Bride of the Return of the Revenge " * 5,
    "one long word": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 3,
    "Chinese": "千与千寻之神隐少女的奇幻冒险" * 6,
    "Thai": "ลุงบุญมีระลึกชาติ" * 6,
    "Arabic": "جدایی نادر از سیمین",
    "marks": "a" + "\u0301" * 400,
    "ampersands": "&" * 500,
    "emoji": "👩‍👩‍👧‍👦" * 60,
    "control characters": "Null\x00 Bell\x07 Line\nBreak \ud800 \ufffe",
    "spaces": " \t ",
}


def facts(title: str, **others: Any) -> PosterFacts:
    return replace(PosterFacts(7, title, 1999, ("Drama",), "Ada Lovelace & Grace Hopper"), **others)


def lines_of(svg: bytes) -> tuple[float, list[str]]:
    """The size of the title's font, and its lines."""
    title = ET.fromstring(svg).find(f"{SVG}text")  # noqa: S314 - our own
    assert title is not None
    return float(title.attrib["font-size"]), [span.text or "" for span in title.findall(f"{SVG}tspan")]


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
@pytest.mark.parametrize("genre", [*GENRES, "Unheard of"])
def test_each_title_makes_a_small_valid_poster(title: str, genre: str) -> None:
    for movie_id in (1, 2, 3, 10**12):
        svg = drawn(facts(title, movie_id=movie_id, genres=(genre,), director=title))
        assert len(svg) < MAX_BYTES
        size, lines = lines_of(svg)
        assert 1 <= len(lines) <= dict(SIZES)[int(size)]
        names = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}  # noqa: S314
        assert names <= {"svg", "linearGradient", "stop", "path", "circle", "rect", "g", "text", "tspan"}
        for line in lines:
            assert width(line) * size <= WIDTH - 2 * MARGIN + size


def test_lines_keep_words_and_the_whole_title() -> None:
    title = "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb"
    _, lines = lines_of(drawn(facts(title)))
    assert " ".join(lines) == title
    assert lines_of(drawn(facts("Alien"))) == (SIZES[0][0], ["Alien"])
    _, lines = lines_of(drawn(facts("word " * 200)))
    assert lines[-1].endswith("…")
    assert len(" ".join(lines)) <= LONGEST_TITLE + 1
    _, lines = lines_of(drawn(facts(TITLES["markup"])))
    assert "".join(lines).replace(" ", "") == TITLES["markup"].replace(" ", "")


def test_titles_from_right_to_left_begin_at_the_right() -> None:
    assert b'direction="rtl"' in drawn(facts(TITLES["Arabic"]))
    assert f'x="{WIDTH - MARGIN}"'.encode() in drawn(facts(TITLES["Arabic"]))
    assert b"rtl" not in drawn(facts("Alien"))


def test_a_poster_follows_from_its_facts_alone() -> None:
    assert drawn(facts("Alien")) == drawn(facts("Alien"))
    changes = {"movie_id": 8, "title": "Aliens", "year": None, "genres": ("War",), "director": ""}
    for name, value in changes.items():
        changed = replace(facts("Alien"), **{name: value})  # type: ignore[arg-type]
        assert changed.digest != facts("Alien").digest, name
        assert drawn(changed) != drawn(facts("Alien")), name


def test_posters_of_the_bundled_catalog_differ() -> None:
    arts = set()
    for number, entry in enumerate(read_catalogue()):
        svg = drawn(PosterFacts(number, entry.movie.title, entry.movie.year, entry.movie.genres, ""))
        assert len(svg) < MAX_BYTES
        arts.add(re.sub(rb"<text.*", b"", svg))
    assert len(arts) > 0.9 * len(read_catalogue())
    assert (WIDTH, HEIGHT) == (500, 750)


POSTERS = "{ movies(first: 50) { nodes { posterUrl } } }"


def test_every_movie_has_a_poster_that_caches_keep(server: str) -> None:
    answer = httpx.post(f"{server}/graphql", json={"query": POSTERS}).json()
    urls = [movie["posterUrl"] for movie in answer["data"]["movies"]["nodes"]]
    assert all(re.fullmatch(r"/poster/\d+\.svg\?v=[0-9a-f]{10}", url) for url in urls)
    with httpx.Client(base_url=server) as http:
        found = http.get(urls[0])
        assert found.status_code == 200
        assert found.headers["content-type"] == "image/svg+xml"
        assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert found.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert lines_of(found.content)[1]
        for stale in (urls[0].partition("?")[0], f"{urls[0]}0"):
            other = http.get(stale)
            assert other.content == found.content
            assert "immutable" not in other.headers["cache-control"]
        again = http.get(urls[0], headers={"If-None-Match": found.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == found.headers["etag"]
        for unknown in ("/poster/999999999.svg", "/poster/99999999999999999999999999.svg", "/poster/x.svg"):
            assert http.get(unknown).status_code == 404


def test_public_url_begins_the_addresses(start_server: StartServer, seeded_database_url: str) -> None:
    service = start_server(seeded_database_url, PUBLIC_URL="https://movies.example.org/api/")
    answer = httpx.post(f"{service.url}/graphql", json={"query": POSTERS}).json()
    for movie in answer["data"]["movies"]["nodes"]:
        assert movie["posterUrl"].startswith("https://movies.example.org/api/poster/")
