"""The choice of a replica, by moments that are given; test_replicas.py has real ones."""

import pytest

from app.db.engine import addresses_of, reads_of
from app.db.replicas import Replica, Replicas, Source
from app.settings import Settings

pytestmark = pytest.mark.anyio

MOST_LAG = 2.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def replicas() -> Replicas:
    """Two that answer, in a process that has heard of writes since 0.0; the primary was at 100 at 10.0."""
    settings = Settings.model_validate({})
    primary, *pools = (reads_of("", settings) for _ in range(3))
    made = Replicas(primary, [Replica(str(number), pool) for number, pool in enumerate(pools)], MOST_LAG)
    for each in made.replicas:
        each.rise()
    made.heard_since = 0.0
    made.sample(10.0, 100)
    return made


async def test_replicas_take_turns_once_they_have_replayed_a_sample(replicas: Replicas) -> None:
    first, second = replicas.replicas
    replicas.advance(first, 99)
    assert replicas.source([]) is Source.BEHIND
    replicas.advance(first, 100)
    assert [replicas.source([]) for _ in range(2)] == [first, first]
    replicas.advance(second, 101)
    assert {replicas.source([]) for _ in range(2)} == {first, second}


async def test_a_write_is_read_from_a_replica_that_has_a_later_sample(replicas: Replicas) -> None:
    first, second = replicas.replicas
    for each in (first, second):
        replicas.advance(each, 100)
    replicas.written["member 1"] = 10.0
    assert replicas.source(["key 5", "member 1"]) is Source.WRITTEN
    assert isinstance(replicas.source(["member 2"]), Replica)
    replicas.sample(10.1, 130)
    replicas.advance(first, 129)
    replicas.advance(second, 130)
    assert {replicas.source(["member 1"]) for _ in range(4)} == {second}


async def test_an_idle_primary_makes_no_lag(replicas: Replicas) -> None:
    (first, _) = replicas.replicas
    replicas.advance(first, 100)
    replicas.sample(50.0, 100)
    assert replicas.lag(first) == 40
    replicas.advance(first, 100)
    assert replicas.lag(first) == 0


async def test_who_hears_of_no_writes_reads_from_the_primary_until_a_replica_has_the_time_between(
    replicas: Replicas,
) -> None:
    (first, _) = replicas.replicas
    replicas.advance(first, 100)
    replicas.stop_hearing()
    assert replicas.source([]) is Source.BEHIND
    replicas.heard_since = 10.5
    assert replicas.source([]) is Source.WRITTEN
    replicas.sample(10.6, 100)
    replicas.advance(first, 100)
    assert replicas.source([]) is first


async def test_writes_are_forgotten_once_no_replica_in_use_can_lack_them(replicas: Replicas) -> None:
    replicas.written |= {"member 1": 7.0, "member 2": 9.0}
    replicas.sample(10.9, 100)
    assert list(replicas.written) == ["member 2"]


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("postgresql://a@host/films", ["host:5432"]),
        ("postgresql://a@one:1,two:2/films?target_session_attrs=primary", ["one:1", "two:2"]),
        ("postgresql+psycopg://a@one,two/films", ["one:5432", "two:5432"]),
        ("postgresql://a@/films?host=/run/one,/run/two&port=6432", ["/run/one:6432", "/run/two:6432"]),
    ],
)
def test_each_host_of_a_url_is_a_replica(url: str, names: list[str]) -> None:
    found = addresses_of(url)
    assert [name for name, _ in found] == names
    for _, address in found:
        assert "dbname=films" in address
        assert "connect_timeout=2" in address
        assert "target_session_attrs" not in address
