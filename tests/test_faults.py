"""Random kills of all processes, as `python -m bench.faults` makes them."""

from pathlib import Path

import pytest

from bench.faults.fleet import TARGETS
from bench.faults.run import run
from bench.processes.start_broker import BrokerError, fetched

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

KILLS = 5  # one of each process


def test_kills_of_all_processes_lose_and_double_nothing(tmp_path: Path) -> None:
    try:
        fetched()
    except BrokerError as error:
        pytest.skip(str(error))
    result = run(tmp_path, KILLS, seed=7, gap=1.0)
    assert result.kills.keys() == {*TARGETS}
    assert sum(result.kills.values()) == KILLS
    assert result.ratings > 0
    assert result.events > result.dead > 0
    assert (result.lost_ratings, result.lost_events, result.doubled_events, result.wrong) == (0, 0, 0, 0)
    assert result.trained
