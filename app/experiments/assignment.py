"""Assignment of members to arms of experiments: a function of ids and salts, without state.

The hash of a layer decides which experiment of it a member may be in. The hash of the experiment, with a salt
of its own, decides the arm. So a member's arm is the same in all processes and after each restart, and the
arms of one experiment say nothing about those of the next.
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from typing import Any

from app.accounts.viewer import Role

HASH_BYTES = 8
TAG_BYTES = 4


class Design(StrEnum):
    """FIXED: a member stays in one arm. SWITCHBACK: a member takes each arm in turn, a period each."""

    FIXED = "FIXED"
    SWITCHBACK = "SWITCHBACK"


class Status(StrEnum):
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm. `share`: of the members of the layer. None: as in lists without an experiment."""

    name: str
    share: float
    model_version: str | None = None
    diversity: float | None = None
    exploration: float | None = None


PARAMETERS = ("model_version", "diversity", "exploration")


def parameters_of(arms: Sequence[Arm]) -> frozenset[str]:
    """The parameters of lists that an arm sets."""
    return frozenset(name for name in PARAMETERS if any(getattr(arm, name) is not None for arm in arms))


@dataclass(frozen=True, slots=True)
class Target:
    """The members of an experiment. `roles`: empty for all."""

    roles: frozenset[Role] = frozenset()
    min_ratings: int = 0
    joined_after: datetime | None = None


@dataclass(frozen=True)
class Experiment:
    """An experiment. The first arm is the baseline. `slice_from`, `slice_to`: its members of the layer.

    `period`: of a switchback. It is over at `ends_at`, or when it is stopped.
    """

    id: int
    name: str
    salt: str
    arms: tuple[Arm, ...]
    starts_at: datetime
    ends_at: datetime
    layer: str = "default"
    slice_from: float = 0.0
    slice_to: float = 1.0
    design: Design = Design.FIXED
    period: timedelta | None = None
    target: Target = Target()
    stopped_at: datetime | None = None
    report: dict[str, Any] | None = None

    @cached_property
    def is_whole(self) -> bool:
        """Whether it has all members of its layer."""
        return self.slice_to - self.slice_from >= 1

    @cached_property
    def layer_salt(self) -> bytes:
        return b"layer " + self.layer.encode()

    @cached_property
    def arm_salt(self) -> bytes:
        return b"arm " + self.salt.encode()

    @cached_property
    def bounds(self) -> tuple[float, ...]:
        """The upper bound of each arm's part of the interval from 0 to 1."""
        total = sum(arm.share for arm in self.arms)
        return (*(part / total for part in accumulate(arm.share for arm in self.arms[:-1])), 1.0)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The parameters of lists that an arm sets."""
        return parameters_of(self.arms)

    def status(self, now: datetime) -> Status:
        if self.stopped_at is not None:
            return Status.STOPPED
        if now < self.starts_at:
            return Status.SCHEDULED
        return Status.RUNNING if now < self.ends_at else Status.ENDED

    def over_at(self, now: datetime) -> datetime:
        """Until when lists have an arm: at most `now`."""
        return min(now, self.ends_at, self.stopped_at or now)


@dataclass(frozen=True, slots=True)
class ListOwner:
    """The member that a list is for. `ratings`: None if they are not read yet; then they fit each target."""

    id: int
    role: Role
    joined_at: datetime
    ratings: int | None = None


@dataclass(frozen=True, slots=True)
class Treatment:
    """The effect of a member's arms on a list. `label`: `experiment/arm`, of each experiment."""

    label: str
    model_version: str | None = None
    diversity: float = 0.0
    exploration: float = 0.0

    @property
    def tag(self) -> str:
        """A hash of the label, for ids that must be short."""
        return blake2b(self.label.encode(), digest_size=TAG_BYTES).hexdigest()


def uniform(salt: bytes, id_: int) -> float:
    """The place of an id in the interval from 0 to 1, 1 excluded: BLAKE2b of the salt and the id."""
    digest = blake2b(b"%b %d" % (salt, id_), digest_size=HASH_BYTES).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


def arm_of(experiment: Experiment, subject: ListOwner, now: datetime) -> Arm | None:
    """The member's arm at `now`; None for a member or time outside the experiment."""
    if not experiment.starts_at <= now < experiment.ends_at:
        return None
    if experiment.stopped_at is not None and now >= experiment.stopped_at:
        return None
    if not fits(experiment.target, subject):
        return None
    if not experiment.is_whole:
        place = uniform(experiment.layer_salt, subject.id)
        if not experiment.slice_from <= place < experiment.slice_to:
            return None
    place = uniform(experiment.arm_salt, subject.id)
    first = bisect(experiment.bounds, place)
    if experiment.period is None:
        return experiment.arms[first]
    turn = int((now - experiment.starts_at) / experiment.period)
    return experiment.arms[(first + turn) % len(experiment.arms)]


def fits(target: Target, subject: ListOwner) -> bool:
    return (
        (not target.roles or subject.role in target.roles)
        and (subject.ratings is None or subject.ratings >= target.min_ratings)
        and (target.joined_after is None or subject.joined_at > target.joined_after)
    )


def treatment_of(experiments: Sequence[Experiment], subject: ListOwner, now: datetime) -> Treatment | None:
    """The effect of all arms of a member on a list; None without an arm.

    Experiments of different layers set different parameters; see `registry.start`.
    """
    label, set_by_arms = [], {}
    for experiment in experiments:
        arm = arm_of(experiment, subject, now)
        if arm is not None:
            label.append(f"{experiment.name}/{arm.name}")
            for name in experiment.parameters:
                if (value := getattr(arm, name)) is not None:
                    set_by_arms[name] = value
    return Treatment(" ".join(label), **set_by_arms) if label else None
