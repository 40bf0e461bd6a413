"""Models that are not served any more leave the memory of the process, and so does garbage."""

import asyncio
import gc
import platform
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from app.db.engine import Sessions
from app.serving import live, memory
from app.serving.live import Live
from app.training import train
from recommender.model.hybrid import Hybrid
from tests.app.training.test_kinds import trained

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Leave what the tests have loaded out of the collections of these tests and of those that follow."""
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()
    yield
    gc.set_threshold(*threshold)


def alive(models: list["weakref.ref[Hybrid]"]) -> int:
    gc.collect()
    return sum(each() is not None for each in models)


def hybrid_of(serving: Live) -> "weakref.ref[Hybrid]":
    assert serving.served.model is not None
    return weakref.ref(serving.served.model.hybrid)


async def test_only_the_former_model_is_kept_and_not_for_long(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trained(sessions, tmp_path, "popularity")
    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    loaded = [hybrid_of(serving)]
    for _ in range(3):
        train.train(sessions.address, tmp_path, lambda *_: None, kept_models=5, kind="popularity")
        await serving.refresh()
        loaded.append(hybrid_of(serving))
    assert alive(loaded) == 2
    former = serving.served.former
    assert former is not None
    assert serving.served.model_of(former.version) is former
    del former

    monkeypatch.setattr(live, "FORMER_SECONDS", 0.0)
    await serving.refresh()
    assert serving.served.former is None
    assert alive(loaded) == 1


async def test_models_share_the_arrays_that_training_did_not_change(
    sessions: Sessions, tmp_path: Path
) -> None:
    await trained(sessions, tmp_path, "popularity")
    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    train.train(sessions.address, tmp_path, lambda *_: None, kept_models=5, kind="popularity")
    await serving.refresh()
    model, former = serving.served.model, serving.served.former
    assert model is not None
    assert former is not None
    assert model.hybrid.content_vectors is former.hybrid.content_vectors
    assert not model.hybrid.content_vectors.flags.writeable


class Loop:
    """An object in a cycle, which only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


async def test_garbage_is_collected_when_no_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "COLLECT_SECONDS", 0.0)
    monkeypatch.setattr(memory, "MOMENT_SECONDS", 0.0)
    monkeypatch.setattr(memory, "FEW_OBJECTS", 0)
    monkeypatch.setattr(memory, "BUSY_SECONDS", 60.0)
    busy = [True]
    garbage = weakref.ref(Loop())
    gc.disable()
    task = asyncio.create_task(memory.follow(lambda: not busy))
    try:
        for _ in range(20):
            await asyncio.sleep(0)
        assert garbage() is not None
        busy.clear()
        for _ in range(20):
            await asyncio.sleep(0)
        assert garbage() is None
    finally:
        gc.enable()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_collections_leave_out_what_was_loaded() -> None:
    loaded = [[number] for number in range(1_000)]
    memory.settle()
    assert gc.get_freeze_count() >= len(loaded)
    assert not any(each is loaded for each in gc.get_objects())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns memory within its heaps")
async def test_memory_that_requests_left_free_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [np.ones(60_000, np.uint8) for _ in range(2_000)]
    kept = arrays[::20]
    del arrays
    monkeypatch.setattr(memory, "COLLECT_SECONDS", 0.0)
    monkeypatch.setattr(memory, "TRIM_SECONDS", 0.0)
    process = psutil.Process()
    before = process.memory_info().rss
    task = asyncio.create_task(memory.follow(lambda: True))
    try:
        while before - process.memory_info().rss < 80_000_000:  # noqa: ASYNC110 - the system signals nothing
            await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert len(kept) == 100
