"""Models of other kinds: trained, active, and served beside the active one."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text
from typer.testing import CliRunner

from app.activity.ratings import rate
from app.cli.commands import app
from app.db.engine import Sessions
from app.serving import live
from app.serving.live import MOST_ARMS, Live
from app.training import data, jobs, registry, train
from app.training.gate import enough, first_rated, newer_than
from app.training.registry import NothingToRollBack
from recommender.interactions import History
from recommender.scorers.kinds import UnknownKind

pytestmark = pytest.mark.anyio

WORLD = (
    "INSERT INTO movies (title, year) SELECT 'Movie ' || n, 1950 + n FROM generate_series(1, 60) AS n",
    "INSERT INTO users (username) SELECT 'member ' || n FROM generate_series(1, 40) AS n",
    """
    INSERT INTO ratings (user_id, movie_id, half_stars)
    SELECT users.id, movies.id, CASE WHEN users.id % 2 = movies.id % 2 THEN 10 ELSE 3 END
    FROM users, movies WHERE (users.id + movies.id / 2) % 3 > 0
    """,
)


async def trained(sessions: Sessions, models: Path, *kinds: str) -> list[str]:
    """Models of these kinds of one small catalog, in which members like odd or even movies."""
    async with sessions.begin() as session:
        for statement in WORLD:
            await session.execute(text(statement))
    url = sessions.address
    return [train.train(url, models, lambda *_: None, kept_models=3, kind=kind) for kind in kinds]


async def test_models_of_several_kinds_are_served_side_by_side(sessions: Sessions, tmp_path: Path) -> None:
    hybrid, svd, knn = await trained(sessions, tmp_path, "hybrid", "svd", "user-knn")
    found = await registry.by_version(sessions, [hybrid, svd, knn])
    assert [found[version].kind for version in (hybrid, svd, knn)] == ["hybrid", "svd", "user-knn"]
    assert [found[version].status for version in (hybrid, svd, knn)] == ["RETIRED", "RETIRED", "ACTIVE"]

    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    assert serving.served.of_version(svd) is None
    serving.want([svd, hybrid, knn, "missing"])
    await serving.refresh()
    for version in (hybrid, svd, knn):
        model = serving.served.of_version(version)
        assert model is not None
        assert model.hybrid.kind == found[version].kind
        odd = model.item_idx([1, 3, 5, 7])
        listed = model.hybrid.item_ids[model.hybrid.recommend(History.of(odd), k=8).item_idx]
        likes_odd = model.hybrid.kind, listed.tolist()
        assert (listed % 2 == 1).mean() > 0.5 or version == knn, likes_odd  # equal ratings: no correlation
        assert serving.served.model_of(version, datetime.now(UTC)) is not None
    before = serving.served
    await serving.refresh()
    assert serving.served is before

    async with sessions.begin() as session:
        await session.execute(text("INSERT INTO movies (title, year) VALUES ('A new one', 2020)"))
    await serving.refresh()
    assert {len(arm.snapshot_idx) for arm in serving.served.arms} == {61}
    serving.want([])
    await serving.refresh()
    assert serving.served.arms == ()

    # An arm is activated as the others are, and online updates of factors leave it alone.
    await registry.activate(sessions, tmp_path, svd)
    async with sessions.begin() as session:
        await session.execute(text("INSERT INTO users (username) VALUES ('another')"))
        await session.execute(
            text("INSERT INTO ratings (user_id, movie_id, half_stars) SELECT max(id), 2, 10 FROM users")
        )
    serving.want([hybrid])
    await serving.refresh()
    assert serving.served.model is not None
    assert serving.served.model.version == svd
    await serving.arrivals.follow(sessions, serving.served.model, serving.served.snapshot)
    assert not serving.arrivals.rows

    # An unreadable arm does not stop the others.
    (tmp_path / knn / "scorer.ratings_data.npy").unlink()
    serving = Live(sessions, tmp_path, await live.load(sessions, tmp_path))
    serving.want([knn, hybrid])
    await serving.refresh()
    assert [arm.version for arm in serving.served.arms] == [hybrid]
    assert [arm.version for arm in serving.served.broken] == [knn]
    serving.want([f"v{n}" for n in range(2 * MOST_ARMS)])
    assert len(serving.wanted) == MOST_ARMS


async def test_a_worse_candidate_is_refused_and_a_better_one_rolled_back(
    sessions: Sessions, tmp_path: Path
) -> None:
    (first,) = await trained(sessions, tmp_path, "svd")
    url = sessions.address

    def gated(kind: str) -> str:
        quiet: Any = {"kept_models": 3, "kind": kind, "only_if_better": True}
        return train.train(url, tmp_path, lambda *_: None, **quiet)

    async def state(version: str) -> tuple[str, dict[str, Any]]:
        found = (await registry.by_version(sessions, [version]))[version]
        assert found.gate is not None
        return found.status, found.gate

    # Both are fitted again without the newest ratings of each member.
    status, verdict = await state(gated("popularity"))
    assert (status, verdict["passed"]) == ("READY", False)
    assert verdict["reason"].startswith("its NDCG@10 is lower by")
    assert verdict["difference"]["high"] < 0
    active = await registry.active(sessions)
    assert active is not None
    assert active.version == first
    with pytest.raises(NothingToRollBack):
        await registry.roll_back(sessions, tmp_path)  # a refused model was never active

    status, verdict = await state(same := gated("svd"))
    assert (status, verdict["passed"], verdict["n_users"]) == ("ACTIVE", True, 0)
    assert "the same kind and settings" in verdict["reason"]
    assert (await registry.roll_back(sessions, tmp_path, same)).version == first
    with pytest.raises(NothingToRollBack, match="Another model is active"):
        await registry.roll_back(sessions, tmp_path, same)

    # Now the newest ratings are newer than the active model, so that it is compared itself.
    async with sessions.begin() as session:
        later = (
            "UPDATE ratings SET rated_at = now() + interval '3 seconds' WHERE (user_id + movie_id) % 7 = 0"
        )
        await session.execute(text(later))
    status, verdict = await state(gated("popularity"))
    assert (status, verdict["passed"]) == ("READY", False)
    assert verdict["active"]["ndcg"] > verdict["candidate"]["ndcg"]


async def test_a_rating_given_again_is_not_held_out_as_a_new_one(sessions: Sessions, tmp_path: Path) -> None:
    """The active model has learned from the first giving of the pair, and the candidate must too."""
    await trained(sessions, tmp_path, "popularity")
    learned = datetime.now(UTC)
    async with sessions.begin() as session:
        await session.execute(text("UPDATE ratings SET rated_at = now() - interval '10 days'"))
        # The last is the member's only new rating.
        pairs = (await session.execute(text("SELECT user_id, movie_id FROM ratings ORDER BY 1, 2"))).all()
        unrated = "SELECT id FROM movies WHERE id NOT IN (SELECT movie_id FROM ratings WHERE user_id = 1)"
        new_movie = await session.scalar(text(unrated)) or 0
    await asyncio.sleep(1.1)  # times are rounded to seconds
    for user_id, movie_id in pairs[::3]:
        await rate(sessions, user_id, movie_id, 4.5)
    await rate(sessions, 1, new_movie, 4.5)
    with psycopg.connect(sessions.address) as connection:
        movies = data.read_movies(connection)
        ratings = data.read_interactions(connection, movies.item_ids)
        times = first_rated(connection, ratings)
    lately = ratings.timestamps > learned.timestamp()
    assert (lately.sum(), (times > learned.timestamp()).sum()) == (len(pairs[::3]) + 1, 1)
    split = newer_than(ratings, learned, times)
    assert split.held_out.nnz == 1
    assert split.held_out.history(0).item_idx.tolist() == movies.item_ids.searchsorted([new_movie]).tolist()
    assert split.train.nnz == len(pairs)


def test_few_members_with_newer_ratings_do_not_decide() -> None:
    """They would let a worse model pass: the interval of so few is wide."""
    assert [enough(n) for n in (0, 40, 60, 400, 1_000, 100_000)] == [30, 30, 30, 200, 500, 500]


def test_models_are_listed_activated_and_rolled_back_by_commands(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(WORLD[0].encode())  # without ratings a training is quick
    first, second = (train.train(database_url, tmp_path, lambda *_: None, kept_models=3) for _ in range(2))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", "x" * 32)

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["models", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    def statuses() -> dict[str, str]:
        return {each["version"]: each["status"] for each in json.loads(said("list", "--json"))}

    assert statuses() == {first: "RETIRED", second: "ACTIVE"}
    assert said("rollback") == f"Model {first} is active.\n"
    assert statuses() == {first: "ACTIVE", second: "RETIRED"}
    assert json.loads(said("activate", second, "--json")) == {"version": second}
    monkeypatch.setenv("COLUMNS", "80")
    assert "hybrid" in said("list")
    assert max(map(len, said("list").splitlines())) <= 80
    figures = {
        "ndcg@20": {"value": 0.3, "low": 0.2, "high": 0.4},
        "ndcg@20_of_items_at_50": {"value": 0.25, "low": 0.2, "high": 0.3},
        "rmse": 0.9,
    }
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE model_versions SET metrics = %s", (Jsonb(figures),))
    shown = said("show")
    assert shown.startswith(f"{second}, hybrid, ACTIVE")
    assert max(map(len, shown.splitlines())) <= 80
    assert (
        "ndcg@20  0.3000  [0.2000, 0.4000]\n  on the newest ratings of held-out members, ranked by" in shown
    )
    labels = [
        (each["label"], each["measured_on"]) for each in json.loads(said("show", first, "--json"))["metrics"]
    ]
    assert labels == [
        ("ndcg@20", "the newest ratings of held-out members, ranked by the whole model"),
        (
            "ndcg@20",
            "the newest ratings of held-out members with about 50 ratings, ranked by its items alone",
        ),
        ("RMSE in stars", "held-out ratings"),
    ]
    refused = CliRunner().invoke(app, ["models", "activate", "no such"])
    assert refused.exit_code == 1
    assert "There is no model of this version." in refused.stderr


async def test_a_training_is_due_after_time_or_new_ratings(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        for statement in WORLD:
            await session.execute(text(statement))
    assert await jobs.request_due(sessions, 1, 1) is None  # the first training is for the operator to start
    async with sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO model_versions (version, status, dataset_version, metrics, trained_at) "
                "VALUES ('v', 'ACTIVE', '', '{}', now() - interval '3 hours')"
            )
        )
        await session.execute(text("UPDATE ratings SET rated_at = now() - interval '4 hours'"))
        await session.execute(text("UPDATE ratings SET rated_at = now() WHERE movie_id = 1"))
        n_new = await session.scalar(text("SELECT count(*) FROM ratings WHERE movie_id = 1")) or 0
    assert n_new > 5
    assert await jobs.request_due(sessions, 0, 0) is None
    assert await jobs.request_due(sessions, 4, n_new + 1) is None
    by_ratings = await jobs.request_due(sessions, 0, n_new)
    assert by_ratings is not None
    assert await jobs.request_due(sessions, 1, 1) is None  # one is queued
    async with sessions.begin() as session:
        await session.execute(text("UPDATE training_jobs SET status = 'FAILED'"))
    assert await jobs.request_due(sessions, 1, n_new) is None  # a failed one is not repeated at once
    async with sessions.begin() as session:
        await session.execute(text("UPDATE training_jobs SET requested_at = now() - interval '2 hours'"))
    by_time = await jobs.request_due(sessions, 1, 0)
    assert by_time is not None
    assert by_time.id != by_ratings.id


def test_an_unknown_kind_is_refused_before_anything_is_read(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownKind, match="there is no model 'oracle'"):
        train.train(database_url, tmp_path, lambda *_: None, kept_models=3, kind="oracle")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT FROM model_versions").rowcount == 0
