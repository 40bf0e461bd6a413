"""The effect of promotions and preferences on one list: pins, and additions to the scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from app.recommendations.steering.preferences import Direction, Preference
from app.recommendations.steering.promotions import Promotion, PromotionKind
from app.recommendations.steering.subjects import Subject, SubjectKind, name_of, places
from app.serving.model import Model
from app.serving.snapshot import Snapshot

# Added to scores for a wish, in standard deviations; chosen on the taste probes: docs/recommender.md.
STEPS = {
    (SubjectKind.GENRE, Direction.MORE): 2.0,
    (SubjectKind.GENRE, Direction.LESS): -2.0,
    (SubjectKind.PERSON, Direction.MORE): 4.0,
    (SubjectKind.PERSON, Direction.LESS): -2.5,
    (SubjectKind.COLLECTION, Direction.MORE): 4.0,
    (SubjectKind.COLLECTION, Direction.LESS): -2.5,
}
MOST_WISHED, MOST_BOOSTED = 5.0, 5.0  # of one movie, for all its wishes or boosts together
MAX_PINS = 3  # of a list

Floats = NDArray[np.float32]
ItemIdx = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """The pins and additions to scores of operators and a member, for one list.

    `boosts`, `wishes`: float32 (n_items,), in standard deviations of the scores; None without any. `pins`:
    the items of each pin, int32 ascending, the oldest pin first. The user's best item of a pin comes first.
    `asked_for`: the name of each subject that the member wants more of, and its items, bool (n_items,).
    """

    boosts: Floats | None = None
    wishes: Floats | None = None
    pins: tuple[ItemIdx, ...] = ()
    asked_for: tuple[tuple[str, NDArray[np.bool_]], ...] = ()

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        model: Model,
        promotions: Sequence[Promotion] = (),
        preferences: Sequence[Preference] = (),
    ) -> "Steering":
        steering = of_promotions(snapshot, model, tuple(promotions)) if promotions else UNSTEERED
        if not preferences:
            return steering
        wishes = [(each.subject, STEPS[each.subject.kind, each.direction]) for each in preferences]
        asked_for = tuple(
            (name_of(snapshot, each.subject) or "", items(snapshot, model, each.subject))
            for each in preferences
            if each.direction is Direction.MORE
        )
        return replace(steering, wishes=added(snapshot, model, wishes, MOST_WISHED), asked_for=asked_for)

    @property
    def added(self) -> Floats | None:
        """The additions to the scores, float32 (n_items,); None for nothing."""
        parts = [part for part in (self.boosts, self.wishes) if part is not None]
        return reduce(np.add, parts) if parts else None

    def for_member(self, own: "Steering") -> "Steering":
        """The steering with the wishes of `own`."""
        return replace(self, wishes=own.wishes, asked_for=own.asked_for)

    def names_asked_for(self, item_idx: ItemIdx) -> list[str | None]:
        """The first subject of each of m items that the member wants more of; None for none."""
        return [next((name for name, having in self.asked_for if having[item]), None) for item in item_idx]

    def candidates(self, allowed: NDArray[np.bool_]) -> list[ItemIdx]:
        """The items of each pin that may come first: `allowed`, bool (n_items,), and not wished away."""
        if self.wishes is not None:
            allowed = allowed & (self.wishes >= 0)
        return [pin[allowed[pin]] for pin in self.pins]

    def promotes(self, item_idx: ItemIdx, pinned: Sequence[int] = ()) -> NDArray[np.bool_]:
        """Which of m listed items a promotion moves, bool (m,)."""
        promoted = np.isin(item_idx, np.asarray(pinned, np.int32))
        if self.boosts is not None:
            promoted |= self.boosts[item_idx] > 0
        return promoted


UNSTEERED = Steering()


def of_promotions(snapshot: Snapshot, model: Model, promotions: tuple[Promotion, ...]) -> Steering:
    """The boosts and pins, made once for all lists of a snapshot and a state of the model."""
    key, wanted = ("promotions", model.version), (model.state.id, promotions)
    made: tuple[object, Steering] | None = snapshot.derived.get(key)
    if made is None or made[0] != wanted:
        boosts = [
            (each.subject, each.strength)
            for each in promotions
            if each.kind is PromotionKind.BOOST and each.strength is not None
        ]
        pins = [each.subject for each in promotions if each.kind is PromotionKind.PIN]
        steering = Steering(
            added(snapshot, model, boosts, MOST_BOOSTED),
            None,
            tuple(np.flatnonzero(items(snapshot, model, subject)).astype(np.int32) for subject in pins),
        )
        made = snapshot.derived[key] = (wanted, steering)
    return made[1]


def items(snapshot: Snapshot, model: Model, subject: Subject) -> NDArray[np.bool_]:
    """The items of a subject that lists may show, bool (n_items,)."""
    of_subject = np.zeros(len(snapshot.cards), np.bool_)
    of_subject[places(snapshot, subject)] = True
    return model.allowed(of_subject)


def added(
    snapshot: Snapshot, model: Model, parts: Sequence[tuple[Subject, float]], most: float
) -> Floats | None:
    """The sum over subjects for each item, from -`most` to `most`, float32 (n_items,); None without any."""
    if not parts:
        return None
    total = np.zeros(model.hybrid.n_items, np.float32)
    for subject, step in parts:
        total[items(snapshot, model, subject)] += np.float32(step)
    return np.asarray(np.clip(total, -most, most), np.float32)
