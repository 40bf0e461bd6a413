"""Lines of streams: formats, rules and reasons; the published schema and the parser agree."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app.accounts.external_members import is_source
from app.ingest.stream_events import (
    MAX_LINE_BYTES,
    MovieName,
    Refusal,
    Refused,
    StreamEvent,
    latest,
    microseconds,
)
from app.ingest.stream_lines import parse
from tests.conftest import ROOT

NOW = datetime(2025, 3, 1, tzinfo=UTC)
AT = microseconds(datetime(2025, 2, 15, 1, 49, 6, tzinfo=UTC))
SCHEMA = json.loads((ROOT / "docs" / "events.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
RATING = SCHEMA["examples"][0]
WATCH = SCHEMA["examples"][1]


def read(line: str | bytes) -> list[StreamEvent] | Refused:
    return parse(line if isinstance(line, bytes) else line.encode(), "tv", latest(NOW))


def one(line: str) -> StreamEvent:
    found = read(line)
    assert isinstance(found, list), found
    [event] = found
    return event


def reason(line: str | bytes) -> Refusal:
    found = read(line)
    assert isinstance(found, Refused), found
    assert found.rule.endswith(".")
    return found.reason


def test_a_classic_rating() -> None:
    event = one("2025-02-15T01:49:06,52141,GET /rate/criminal+2004=4")
    assert event == StreamEvent(
        "tv", "52141", "RATING", MovieName(title="criminal", year=2004), AT, half_stars=8
    )
    assert one("2025-02-15T01:49:06,1,GET /rate/heat+1995=3.5\r\n").half_stars == 7


def test_a_classic_watched_minute() -> None:
    event = one("2025-02-15T01:49:06,52141,GET /data/m/the+matrix+1999/17.mpg")
    assert (event.kind, event.movie, event.minutes) == (
        "WATCH",
        MovieName(title="the matrix", year=1999),
        17,
    )
    assert one("2025-02-15T01:49,1,GET /data/m/am%C3%A9lie+2001/0.mpg").movie.title == "amélie"


def test_a_classic_recommendation_is_an_impression_of_each_movie() -> None:
    line = (
        "2025-02-15T01:49:06,7,recommendation request host:8082, status 200, "
        "result: alien+1979, 2001+a+space+odyssey+1968, 45 ms"
    )
    found = read(line)
    assert isinstance(found, list)
    assert [(event.kind, event.movie.title, event.position) for event in found] == [
        ("IMPRESSION", "alien", 0),
        ("IMPRESSION", "2001 a space odyssey", 1),
    ]
    assert read("2025-02-15T01:49:06,7,recommendation request h, status 500, result: x, 1 ms") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Refusal.MALFORMED),
        (b"\xff\xfe", Refusal.MALFORMED),
        ("x" * (MAX_LINE_BYTES + 1), Refusal.MALFORMED),
        ("2025-02-15T01:49:06,1", Refusal.MALFORMED),
        ("2025-02-15T01:49:06,1,POST /rate/heat+1995=3", Refusal.MALFORMED),
        ("2025-02-15T01:49:06,1,recommendation request", Refusal.MALFORMED),
        ("2025-02-30T01:49:06,1,GET /rate/heat+1995=3", Refusal.TIME),
        ("yesterday,1,GET /rate/heat+1995=3", Refusal.TIME),
        ("0001-01-01T00:00:00+14:00,1,GET /rate/heat+1995=3", Refusal.TIME),
        ("1999-12-31T23:59:59,1,GET /rate/heat+1995=3", Refusal.TIME),
        ("2025-03-01T00:06:00,1,GET /rate/heat+1995=3", Refusal.FUTURE),
        ("2025-02-15T01:49:06,,GET /rate/heat+1995=3", Refusal.MEMBER),
        ("2025-02-15T01:49:06,1e3,GET /rate/heat+1995=3", Refusal.MEMBER),
        ("2025-02-15T01:49:06,1234567890123456789,GET /rate/heat+1995=3", Refusal.MEMBER),
        ("2025-02-15T01:49:06,1,GET /rate/heat=3", Refusal.MOVIE),
        ("2025-02-15T01:49:06,1,GET /rate/heat+1195=3", Refusal.MOVIE),
        (f"2025-02-15T01:49:06,1,GET /rate/{'x' * 5000}+1995=3", Refusal.MOVIE),
        ("2025-02-15T01:49:06,1,GET /rate/heat+1995=0", Refusal.VALUE),
        ("2025-02-15T01:49:06,1,GET /rate/heat+1995=5.5", Refusal.VALUE),
        ("2025-02-15T01:49:06,1,GET /rate/heat+1995=nan", Refusal.VALUE),
        ("2025-02-15T01:49:06,1,GET /data/m/heat+1995/x.mpg", Refusal.VALUE),
        ("2025-02-15T01:49:06,1,GET /data/m/heat+1995/1441.mpg", Refusal.VALUE),
        ("{", Refusal.MALFORMED),
        ("{}", Refusal.MALFORMED),
        ('{"version": ' * 3000, Refusal.MALFORMED),
    ],
)
def test_a_bad_line_has_a_reason(line: str | bytes, expected: Refusal) -> None:
    assert reason(line) is expected


@pytest.mark.parametrize("example", SCHEMA["examples"])
def test_the_examples_of_the_schema_are_events(example: dict[str, Any]) -> None:
    VALIDATOR.validate(example)
    event = one(json.dumps(example))
    assert event.source == example.get("source", "tv")
    assert event.at // 1_000_000 == AT // 1_000_000
    assert event.event_id == example.get("id")


def test_the_lines_of_the_page_are_events() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    lines = [
        line
        for block in re.findall(r"```(?:json)?\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(lines) == 6
    assert all(isinstance(read(line), list) for line in lines)
    for line in filter(lambda line: line.startswith("{"), lines):
        VALIDATOR.validate(json.loads(line))
    assert all(f"`{each}`" in page for each in (*Refusal, *SCHEMA["properties"]))


CHANGES: list[tuple[dict[str, Any], Refusal]] = [
    ({"version": 2}, Refusal.MALFORMED),
    ({"version": "1"}, Refusal.MALFORMED),
    ({"kind": "RATING"}, Refusal.MALFORMED),
    ({"kind": ["rating"]}, Refusal.MALFORMED),
    ({"source": "A b"}, Refusal.MALFORMED),
    ({"source": 5}, Refusal.MALFORMED),
    ({"id": ""}, Refusal.MALFORMED),
    ({"id": "x" * 201}, Refusal.MALFORMED),
    ({"requestId": "7"}, Refusal.MALFORMED),
    ({"time": None}, Refusal.TIME),
    ({"time": 1739584146}, Refusal.TIME),
    ({"time": "2025-02-15"}, Refusal.TIME),
    ({"user": None}, Refusal.MEMBER),
    ({"user": True}, Refusal.MEMBER),
    ({"user": ""}, Refusal.MEMBER),
    ({"user": "x" * 129}, Refusal.MEMBER),
    ({"user": 10**18}, Refusal.MEMBER),
    ({"movie": None}, Refusal.MOVIE),
    ({"movie": "Heat"}, Refusal.MOVIE),
    ({"movie": {"title": "Heat"}}, Refusal.MOVIE),
    ({"movie": {"title": "Heat", "year": "1995"}}, Refusal.MOVIE),
    ({"movie": {"title": "Heat", "year": 3000}}, Refusal.MOVIE),
    ({"movie": {"tmdbId": 0}}, Refusal.MOVIE),
    ({"movie": {"imdbId": "x"}}, Refusal.MOVIE),
    ({"movie": {"id": "not Base64"}}, Refusal.MOVIE),
    ({"value": None}, Refusal.VALUE),
    ({"value": "4"}, Refusal.VALUE),
    ({"value": 4.2}, Refusal.VALUE),
    ({"value": 0}, Refusal.VALUE),
    ({"value": True}, Refusal.VALUE),
    ({"position": -1}, Refusal.VALUE),
    ({"position": 2**40}, Refusal.VALUE),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_parser_and_schema_refuse_the_same(change: dict[str, Any], expected: Refusal) -> None:
    event = RATING | change
    assert reason(json.dumps(event)) is expected
    assert not VALIDATOR.is_valid(event)


@pytest.mark.parametrize(
    "change",
    [
        {"minutes": 17, "fraction": 0.5},
        {"minutes": None},
        {"minutes": -1},
        {"minutes": 1441},
        {"minutes": "17"},
    ],
)
def test_a_watch_event_has_minutes_or_a_fraction(change: dict[str, Any]) -> None:
    assert reason(json.dumps(WATCH | change)) is Refusal.VALUE
    assert not VALIDATOR.is_valid(WATCH | change)


def test_an_id_outweighs_title_and_year() -> None:
    movie = {"title": "Heat", "year": 1995, "tmdbId": 949, "id": None}
    assert one(json.dumps(RATING | {"movie": movie})).movie == MovieName(tmdb_id=949)


def test_times_have_offsets_and_a_small_clock_skew() -> None:
    assert one(json.dumps(RATING | {"time": "2025-02-15T03:49:06+02:00"})).at == AT
    soon = (NOW + timedelta(minutes=4)).isoformat()
    assert one(json.dumps(RATING | {"time": soon})).at == microseconds(NOW + timedelta(minutes=4))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), values))
def test_no_json_event_raises(change: dict[str, Any]) -> None:
    found = read(json.dumps(RATING | change))
    assert isinstance(found, list | Refused)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_no_line_raises(line: bytes) -> None:
    for each in (
        line,
        b"2025-02-15T01:49:06,1,GET /rate/" + line,
        b"2025-02-15T01:49:06,1,GET /data/m/" + line,
    ):
        assert isinstance(parse(each, "tv", latest(NOW)), list | Refused)


def test_sources() -> None:
    assert is_source("tv-2.eu_west")
    assert not any(map(is_source, ("", "TV", "-tv", "t v", "é", "x" * 65)))
