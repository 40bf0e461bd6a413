"""Assignment: sticky, in proportion, exclusive within a layer, and only for the members of the target."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.accounts.viewer import Role
from app.experiments.assignment import (
    Arm,
    Design,
    Experiment,
    ListOwner,
    Status,
    Target,
    Treatment,
    arm_of,
    treatment_of,
    uniform,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=1)
ARMS = (Arm("old", 0.5), Arm("new", 0.3, diversity=0.5), Arm("other", 0.2, diversity=0.8, exploration=0.1))
EXPERIMENT = Experiment(1, "diversity", "a salt", ARMS, START, START + timedelta(days=14))


def subject(id_: int, role: Role = Role.USER, ratings: int | None = 0) -> ListOwner:
    return ListOwner(id_, role, START - timedelta(days=10), ratings)


def arms(experiment: Experiment, members: int, now: datetime = NOW) -> list[str | None]:
    found = (arm_of(experiment, subject(id_), now) for id_ in range(members))
    return [None if arm is None else arm.name for arm in found]


def test_shares_of_100_000_members_are_within_half_a_point() -> None:
    counts = Counter(arms(EXPERIMENT, 100_000))
    for arm in ARMS:
        assert abs(counts[arm.name] / 100_000 - arm.share) < 0.005, counts


def test_a_canary_has_a_small_share_and_ends_at_once() -> None:
    """With the same salt, a larger share keeps the members of a smaller one."""
    canary = replace(EXPERIMENT, arms=(Arm("old", 0.95), Arm("new", 0.05, model_version="v2")))
    counts = Counter(arms(canary, 40_000))
    assert abs(counts["new"] / 40_000 - 0.05) < 0.005
    treated = [treatment_of([canary], subject(id_), NOW) for id_ in range(2_000)]
    versions = Counter(None if one is None else one.model_version for one in treated)
    assert set(versions) == {None, "v2"}
    assert versions["v2"] == Counter(arms(canary, 2_000))["new"]
    wider = replace(canary, arms=(Arm("old", 0.7), Arm("new", 0.3, model_version="v2")))
    before, after = arms(canary, 2_000), arms(wider, 2_000)
    assert all(late == "new" for early, late in zip(before, after, strict=True) if early == "new")
    stopped = replace(canary, stopped_at=NOW)
    assert set(arms(stopped, 2_000)) == {None}


def test_an_arm_depends_on_salt_and_member_alone() -> None:
    """These values are those of every process and release: members would change arms with them."""
    assert [round(uniform(b"a salt", id_), 6) for id_ in (1, 2, 10**18)] == [0.499921, 0.688443, 0.971058]
    assert arms(EXPERIMENT, 500) == arms(replace(EXPERIMENT), 500, NOW + timedelta(days=9))
    before, after = arms(EXPERIMENT, 20_000), arms(replace(EXPERIMENT, salt="another"), 20_000)
    table = Counter(zip(before, after, strict=True))
    for (one, other), count in table.items():  # the arms of two experiments are independent
        shares = [arm.share for arm in ARMS if arm.name in (one, other)]
        expected = shares[0] * shares[-1]
        assert abs(count / 20_000 - expected) < 0.012


def test_experiments_of_a_layer_share_no_member() -> None:
    halves = [
        replace(EXPERIMENT, name="first", slice_to=0.4),
        replace(EXPERIMENT, name="second", slice_from=0.4, salt="b"),
    ]
    first, second = arms(halves[0], 5_000), arms(halves[1], 5_000)
    found = [(one is None) + (other is None) for one, other in zip(first, second, strict=True)]
    assert set(found) == {1}
    assert abs(sum(arm is not None for arm in first) / 5_000 - 0.4) < 0.03


def test_layers_are_combined() -> None:
    models = replace(
        EXPERIMENT, name="models", layer="models", salt="m", arms=(Arm("a", 0.5), Arm("b", 0.5, "v2"))
    )
    found = Counter(treatment_of((EXPERIMENT, models), subject(id_), NOW) for id_ in range(4_000))
    assert Treatment("diversity/other models/b", "v2", 0.8, 0.1) in found
    assert Treatment("diversity/old models/a") in found
    assert len(found) == 6
    assert min(found.values()) > 300


@pytest.mark.parametrize(
    ("member", "target", "fits"),
    [
        (subject(1), Target(), True),
        (subject(1), Target(roles=frozenset({Role.ADMIN})), False),
        (subject(1, Role.ADMIN), Target(roles=frozenset({Role.ADMIN})), True),
        (subject(1, ratings=19), Target(min_ratings=20), False),
        (subject(1, ratings=20), Target(min_ratings=20), True),
        (subject(1, ratings=None), Target(min_ratings=20), True),
        (subject(1), Target(joined_after=START), False),
        (subject(1), Target(joined_after=START - timedelta(days=11)), True),
    ],
)
def test_targets(member: ListOwner, target: Target, fits: bool) -> None:
    assert (arm_of(replace(EXPERIMENT, target=target), member, NOW) is not None) == fits


def test_times() -> None:
    end = EXPERIMENT.ends_at
    times = {
        START - timedelta(seconds=1): Status.SCHEDULED,
        START: Status.RUNNING,
        end - timedelta(seconds=1): Status.RUNNING,
        end: Status.ENDED,
    }
    for time, status in times.items():
        assert EXPERIMENT.status(time) is status
        assert (arm_of(EXPERIMENT, subject(1), time) is not None) == (status is Status.RUNNING)
    assert arm_of(replace(EXPERIMENT, stopped_at=NOW), subject(1), NOW) is None


def test_a_switchback_gives_each_member_each_arm_in_turn() -> None:
    switching = replace(
        EXPERIMENT,
        arms=(Arm("a", 0.5), Arm("b", 0.5)),
        design=Design.SWITCHBACK,
        period=timedelta(days=2),
    )
    days = [arms(switching, 200, START + timedelta(days=day)) for day in range(8)]
    by_member = np.array(days).T
    assert (by_member[:, 0] == by_member[:, 1]).all()
    assert (by_member[:, 1] != by_member[:, 2]).all()
    assert (by_member[:, 0] == by_member[:, 4]).all()
    assert 70 < (by_member[:, 0] == "a").sum() < 130
