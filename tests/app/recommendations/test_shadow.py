"""Shadow mode: a candidate makes live lists too, off the path of requests, and nothing of it is served."""

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli.commands import app
from app.db.engine import Sessions
from app.recommendations import shadow as shadow_mode
from app.recommendations.history import history_for_likes
from app.recommendations.recommend import Wish, recommend
from app.recommendations.shadow import FIRST, MAX_QUEUED, LiveList, Shadow, compared
from app.serving import live
from app.serving.live import Live
from app.telemetry.metrics import REGISTRY
from app.training import publish, registry, shadow_runs
from app.training.registry import ModelNotFound, ModelUnreadable
from app.training.shadow_runs import AlreadyActive, NoShadow
from tests.app.training.test_kinds import trained

pytestmark = pytest.mark.anyio

LISTED = LiveList(history_for_likes([1, 3, 5, 7]), Wish(), signed_in=True)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def run_of(sessions: Sessions, version: str) -> Any:
    return (await registry.by_version(sessions, [version]))[version].shadow


async def test_lists_are_compared_and_counted(sessions: Sessions, tmp_path: Path) -> None:
    popularity, svd = await trained(sessions, tmp_path, "popularity", "svd")
    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    shadow = Shadow()
    shadow.add(LISTED)
    assert not shadow.queue  # nothing runs

    await shadow_runs.start(sessions, popularity)
    await shadow.step(sessions, serving)
    shadow.add(LISTED)
    await shadow.compare_next(serving)
    assert shadow.counts.lists == 0  # this process does not have the model yet
    await serving.refresh()
    before = metric("marquee_shadow_lists_total", outcome="compared")
    for _turn in range(2):
        shadow.add(LISTED)
        await shadow.compare_next(serving)
    assert metric("marquee_shadow_lists_total", outcome="compared") == before + 2

    # By hand: what both models would serve.
    active, candidate = serving.served.model, serving.served.of_version(popularity)
    assert active is not None
    assert candidate is not None
    first, second = (
        {pick.movie_id for pick in recommend(
            serving.served.snapshot, model, LISTED.user, LISTED.wish, signed_in=True, first=FIRST).picks}
        for model in (active, candidate)
    )  # fmt: skip
    agreement = len(first & second) / FIRST
    assert 0 < agreement < 1
    assert compared(serving.served.snapshot, active, active, LISTED).agreement == 1
    await shadow.step(sessions, serving)
    run = await run_of(sessions, popularity)
    assert (run.status, run.lists, run.failed, run.dropped) == ("RUNNING", 2, 0, 0)
    found = shadow_runs.figures_of(run)
    assert found.agreement == pytest.approx(agreement)
    assert min(found.active_milliseconds or 0, found.candidate_milliseconds or 0) > 0

    # A second process adds to the same run.
    await shadow_runs.add(sessions, run.id, shadow_runs.Counts(1, 2, 3, 1.0, 0.1, 0.1))
    run = await run_of(sessions, popularity)
    assert (run.lists, run.failed, run.dropped) == (3, 2, 3)
    assert await run_of(sessions, svd) is None


async def test_a_candidate_that_fails_is_counted_and_lists_go_on(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popularity, _svd = await trained(sessions, tmp_path, "popularity", "svd")
    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    shadow = Shadow()
    await shadow_runs.start(sessions, popularity)
    await shadow.step(sessions, serving)
    await serving.refresh()

    def broken(*_args: object) -> None:
        raise FloatingPointError

    monkeypatch.setattr(shadow_mode, "compared", broken)
    shadow.add(LISTED)
    await shadow.compare_next(serving)
    assert (shadow.counts.lists, shadow.counts.failed) == (0, 1)

    # A full queue drops lists instead of growing; a request waits for nothing.
    for _turn in range(MAX_QUEUED + 7):
        shadow.add(LISTED)
    assert (len(shadow.queue), shadow.counts.dropped) == (MAX_QUEUED, 7)

    # A stopped run keeps its counts, and its queue is forgotten.
    await shadow.step(sessions, serving)
    assert await shadow_runs.stop(sessions) == popularity
    await shadow.step(sessions, serving)
    assert not shadow.queue
    assert serving.shadow is None
    await serving.refresh()
    assert serving.served.arms == ()
    run = await run_of(sessions, popularity)
    assert (run.status, run.failed, run.dropped) == ("STOPPED", 1, 7)
    assert run.stopped_at is not None


async def test_counts_wait_for_a_database_that_does_not_answer(sessions: Sessions, tmp_path: Path) -> None:
    popularity, _svd = await trained(sessions, tmp_path, "popularity", "svd")
    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    shadow = Shadow()
    await shadow_runs.start(sessions, popularity)
    await shadow.step(sessions, serving)
    shadow.counts.dropped = 5
    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE shadow_runs RENAME TO away"))
    with pytest.raises(Exception, match="shadow_runs"):
        await shadow.step(sessions, serving)
    assert shadow.counts.dropped == 5
    following = asyncio.create_task(shadow.follow(sessions, serving))
    await asyncio.sleep(0.1)
    assert not following.done()  # it logs and goes on
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_one_model_runs_and_its_files_are_kept(sessions: Sessions, tmp_path: Path) -> None:
    first, second, active = await trained(sessions, tmp_path, "popularity", "content", "svd")
    with pytest.raises(NoShadow):
        await shadow_runs.stop(sessions)
    with pytest.raises(AlreadyActive):
        await shadow_runs.start(sessions, active)
    for unknown in ("no such", "nul\0"):
        with pytest.raises(ModelNotFound):
            await shadow_runs.start(sessions, unknown)
    await shadow_runs.start(sessions, first)
    await shadow_runs.start(sessions, second)  # in place of the first
    await shadow_runs.start(sessions, second)
    assert (await run_of(sessions, first)).status == "STOPPED"
    running = await shadow_runs.running(sessions)
    assert running is not None
    assert running[1] == second

    with psycopg.connect(sessions.address, autocommit=True) as connection:
        publish.remove_retired(connection, tmp_path, 0)
    assert not (tmp_path / first).exists()
    assert (tmp_path / second).exists()
    with pytest.raises(ModelUnreadable):
        await shadow_runs.start(sessions, first)

    await registry.activate(sessions, tmp_path, second)  # from now on it serves
    assert (await run_of(sessions, second)).status == "STOPPED"
    assert await shadow_runs.running(sessions) is None


async def test_commands(
    sessions: Sessions, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popularity, svd = await trained(sessions, tmp_path, "popularity", "svd")
    for name, value in (
        ("DATABASE_URL", database_url),
        ("MODEL_DIR", str(tmp_path)),
        ("SECRET_KEY", "x" * 32),
    ):
        monkeypatch.setenv(name, value)

    def models(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["models", *arguments])

    started = await asyncio.to_thread(models, "shadow", popularity)
    assert started.stdout == f"Model {popularity} is in shadow mode.\n"
    running = await shadow_runs.running(sessions)
    assert running is not None
    await shadow_runs.add(sessions, running[0], shadow_runs.Counts(4, 1, 0, 3.0, 0.008, 0.004))
    shown = await asyncio.to_thread(models, "show", popularity)
    assert "running: 4 lists" in " ".join(shown.stdout.split())
    rows = json.loads((await asyncio.to_thread(models, "list", "--json")).stdout)
    found = {row["version"]: row["shadow"] for row in rows}
    assert found[svd] is None
    assert found[popularity]["agreement"] == 0.75
    assert found[popularity]["candidate_milliseconds"] == pytest.approx(1)
    stopped = await asyncio.to_thread(models, "shadow", "--stop")
    assert stopped.stdout == f"Model {popularity} is no longer in shadow mode.\n"
    refused = await asyncio.to_thread(models, "shadow", svd)
    assert (refused.exit_code, "makes the lists" in refused.stderr) == (1, True)
    for wrong in (["shadow"], ["shadow", svd, "--stop"]):
        assert (await asyncio.to_thread(models, *wrong)).exit_code == 2
