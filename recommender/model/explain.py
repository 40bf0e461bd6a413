"""Explain recommendations: items of the history and shared attributes that raised an item's score.

What the average taste explains of a score is the reason POPULAR; the liked items share the rest. No item of
the history and no shared name is the reason for more than a quarter of a list.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.interactions import History
from recommender.item_features import ItemFeatures
from recommender.keywords import curation
from recommender.traits import Traits

Floats = npt.NDArray[np.float32]

BECAUSE_YOU_LIKED = "BECAUSE_YOU_LIKED"
SHARED_PEOPLE = "SHARED_PEOPLE"
SHARED_GENRES = "SHARED_GENRES"
SHARED_KEYWORDS = "SHARED_KEYWORDS"
POPULAR = "POPULAR"

# A reason names no item rated below NAMED_STARS, nor BELOW_MEAN below the member's own mean, if that is
# higher: "because you liked" would be false.
NAMED_STARS, BELOW_MEAN = 3.5, 0.5
# POPULAR comes first where the average taste explains MOSTLY of the score, or PARTLY if nothing but a genre
# can be named.
MOSTLY, PARTLY = 0.6, 0.25
NEAR_BEST = 0.05  # share of the largest effect from which an item can be named
UNRELATED = 0.35  # an item of lower kinship is not named: readers do not believe it
TELLING = 0.24  # rarity below which a genre, such as Drama, is no second reason
FORMATS = frozenset({"IMAX", "(no genres listed)"})  # of "genres" in files
BILLED = 3  # first names of a cast that are reasons: readers do not know the others
# A name is no reason with a share below FAINT of what the liked items share, or LEAST of the score.
FAINT, LEAST = 0.05, 0.02
LIST_SHARE = 4  # an item or name is the reason for one in LIST_SHARE items of a list


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for one item.

    item_idx: the item of the history that is the reason; None for POPULAR, and for a name if all
    items that share it are reasons for enough others. detail: the name that both items
    share for SHARED_ kinds, else "". weight: 0 to 1, its share of the item's score.
    """

    kind: str
    item_idx: int | None
    detail: str
    weight: float


def trait_names(items: ItemFeatures, known: frozenset[str] | None = None) -> dict[str, list[tuple[str, ...]]]:
    """The names of each item that can be reasons, by the kind of reason.

    known: keywords that are selected already; else they are selected from those of all items.
    """
    people = [
        (*directors, *cast[:BILLED]) for directors, cast in zip(items.directors, items.cast, strict=True)
    ]
    if known is None:
        everyone = {name for names in (*items.directors, *items.cast) for name in names}
        known = curation.named(items.keywords, everyone)
        keywords = [tuple(filter(known.__contains__, of_item)) for of_item in items.keywords]
    else:
        former = known
        keywords = [
            tuple(word for word in of_item if word in former or curation.is_telling(word))
            for of_item in items.keywords
        ]
    return {SHARED_PEOPLE: people, SHARED_KEYWORDS: keywords, SHARED_GENRES: items.genres}


def traits_of(items: ItemFeatures) -> dict[str, Traits]:
    """The traits of items, by the kind of reason."""
    return {kind: Traits.of(names) for kind, names in trait_names(items).items()}


def maker_names(items: ItemFeatures) -> list[tuple[str, ...]]:
    """The directors and franchise of each item, whose items in one list are limited."""
    rows = zip(items.directors, items.collections, strict=True)
    return [(*directors, f"{name} (franchise)" if name else "") for directors, name in rows]


def makers_of(items: ItemFeatures) -> Traits:
    return Traits.of(maker_names(items))


def explain(
    history: History,
    item_idx: npt.NDArray[np.int32],
    effects: Floats,
    average: Floats,
    kinship: Floats,
    traits: Mapping[str, Traits],
    limit: int,
    subject: int | None = None,
) -> list[list[Reason]]:
    """Return at most `limit` reasons for each of m items of a list, in its order.

    effects: float32 (n, m), the decrease of an item's score without each item of the history. average:
    float32 (m,), 0 to 1, the share of the score that the average taste explains. kinship: float32 (n, m), 0
    to 1, how much alike the items are to a reader. Only liked items with a positive effect are reasons; a
    shared name has the summed effects of the liked items with it. The first j items of a list
    have the reasons that they have in a list of j, for j of at least 2 LIST_SHARE. subject: an item of the
    history that comes first instead, if it is a reason, however often.
    """
    liked = history.stars >= max(NAMED_STARS, history.stars.mean() - BELOW_MEAN if len(history) else 0)
    reasons: list[list[Reason]] = [[] for _ in item_idx]
    if limit < 1 or not liked.any():
        return reasons
    gains = np.maximum(effects[liked], 0)  # (n_liked, m)
    totals = gains.sum(axis=0)
    shares: Floats = (gains / np.where(totals > 0, totals, 1) * (1 - average)).astype(np.float32)
    worth = shares * np.square(kinship[liked])
    worth[(shares < NEAR_BEST * shares.max(axis=0)) | (kinship[liked] < UNRELATED)] = 0
    liked_idx = history.item_idx[liked]
    common = [_Common(kind, of_kind, liked_idx, item_idx, shares) for kind, of_kind in traits.items()]
    of_subject = (gains > 0) & (liked_idx == subject)[:, None]
    used = _Used(len(item_idx))
    for column, item in enumerate(item_idx.tolist()):
        used.next_item()
        found, of_average = reasons[column], float(average[column])
        for_one = of_subject[:, column], shares[:, column], worth[:, column]
        found += _first(liked_idx, *for_one, of_average, used)
        if totals[column] > 0:
            found += _shared(common, item, column, used, alone=not found)
        if of_average >= PARTLY and all(reason.kind == SHARED_GENRES for reason in found):
            found.insert(0, Reason(POPULAR, None, "", of_average))
        del found[limit:]
        used.add(found, subject)
    return reasons


def average_share(scores: Floats, average: Floats, item_idx: npt.NDArray[np.int32]) -> Floats:
    """The share of the scores of m items that the average taste explains, float32 (m,), 0 to 1.

    scores, average: float32 (n_items,), the scores of a user and those of the average user. The share is the
    projection of the former on the latter.
    """
    slope = float(scores @ average) / max(float(average @ average), 1e-9)
    explained = slope * average[item_idx] / np.where(scores[item_idx] > 0, scores[item_idx], np.inf)
    return np.asarray(explained.clip(0, 1), np.float32)


def or_popular(reasons: list[list[Reason]], popular: npt.NDArray[np.bool_]) -> list[list[Reason]]:
    """Add POPULAR to the items without a reason that are popular, bool (m,)."""
    for found, is_popular in zip(reasons, popular.tolist(), strict=True):
        if not found and is_popular:
            found.append(Reason(POPULAR, None, "", 1.0))
    return reasons


def kinship(
    content: Floats,
    makers: sparse.csr_matrix,
    liked_idx: npt.NDArray[np.int32],
    item_idx: npt.NDArray[np.int32],
) -> Floats:
    """The similarity of n liked items to m others for a reader, float32 (n, m), 0 to 1.

    content: float32 (n_items, width), rows of length 1 or 0. makers: csr (n_items, n_makers), of directors
    and franchises; two items with a common one have the kinship 1. For others it is the cosine. Items without
    content are as alike as any two that a reason may relate.
    """
    liked, others = content[liked_idx], content[item_idx]
    common_makers = makers[liked_idx] @ makers[item_idx].T
    alike = np.maximum(liked @ others.T, 0)
    alike[~np.any(liked, axis=1)] = UNRELATED
    alike[:, ~np.any(others, axis=1)] = UNRELATED
    alike[common_makers.nonzero()] = 1
    return np.asarray(alike, np.float32)


def _first(
    liked_idx: npt.NDArray[np.int32],
    of_subject: npt.NDArray[np.bool_],
    shares: Floats,
    worth: Floats,
    average: float,
    used: "_Used",
) -> list[Reason]:
    """The subject if it is a reason, else the average taste, else the liked item of the highest worth.

    of_subject, shares, worth: (n_liked,), for one item of the list. average: the share of the average taste.
    """
    if of_subject.any():
        place: int | None = int(of_subject.argmax())
    elif average >= MOSTLY:
        return [Reason(POPULAR, None, "", average)]
    else:
        place = _named(liked_idx, worth, used)
    return (
        [] if place is None else [Reason(BECAUSE_YOU_LIKED, int(liked_idx[place]), "", float(shares[place]))]
    )


def _named(liked_idx: npt.NDArray[np.int32], worth: Floats, used: "_Used") -> int | None:
    """The liked item of the highest worth above 0 that has room in the list."""
    for place in np.argsort(-worth, kind="stable").tolist():
        if worth[place] <= 0:
            return None
        if used.room(int(liked_idx[place])):
            return int(place)
    return None


def _shared(common: "list[_Common]", item: int, column: int, used: "_Used", *, alone: bool) -> list[Reason]:
    """The best name of each kind, the most salient first, a genre last and a common genre only alone."""
    best = [pair for of_kind in common if (pair := of_kind.best(item, column, used)) is not None]
    best.sort(key=lambda pair: (pair[1].kind == SHARED_GENRES, -pair[0]))
    return [
        reason
        for place, (salience, reason) in enumerate(best)
        if reason.kind != SHARED_GENRES or salience >= TELLING * reason.weight or (alone and place == 0)
    ]


class _Used:
    """Counts of the items and names that are reasons in a list, for the limit of LIST_SHARE."""

    def __init__(self, length: int) -> None:
        """length: of the list; from twice LIST_SHARE on, the limit is 2 from its first item on."""
        self._least = min(2, max(1, length // LIST_SHARE))
        self._counts: dict[int | str, int] = {}
        self._n_items = 0

    def next_item(self) -> None:
        self._n_items += 1

    def room(self, reason: int | str) -> bool:
        """Whether an item of the history, or a name, can be a reason for the present item of the list."""
        return self._counts.get(reason, 0) < max(self._least, self._n_items // LIST_SHARE)

    def add(self, reasons: list[Reason], subject: int | None) -> None:
        """Count the reasons of one item of the list, except its subject."""
        for reason in {reason.item_idx for reason in reasons} | {reason.detail for reason in reasons}:
            if reason is not None and reason not in ("", subject):
                self._counts[reason] = self._counts.get(reason, 0) + 1


class _Common:
    """The names of one kind that liked items share with the items of a list, weighted for each item."""

    def __init__(
        self,
        kind: str,
        traits: Traits,
        liked_idx: npt.NDArray[np.int32],
        item_idx: npt.NDArray[np.int32],
        shares: Floats,
    ) -> None:
        """shares: float32 (n_liked, m), each liked item's share of each item's score.

        Only names of items of the list are processed, so that the time does not grow with a long history.
        """
        self.kind, self._traits, self._liked_idx, self._shares = kind, traits, liked_idx, shares
        names = np.unique(traits.matrix[item_idx].indices)
        shared = traits.matrix[liked_idx][:, names]  # (n_liked, n_names)
        self._holders = shared.tocsc()
        self._rows = {name: row for row, name in enumerate(names.tolist())}
        self._weights = np.asarray(shared.T @ shares)  # (n_names, n_liked) @ (n_liked, m)
        self._salience = self._weights * traits.rarity[names][:, None]

    def best(self, item: int, column: int, used: _Used) -> tuple[float, Reason] | None:
        """The shared name of the highest salience, its weight times its rarity, that has room in the list.

        None without one above 0.
        """
        candidates = [
            (float(self._salience[self._rows[name], column]), self._rows[name], name)
            for name in self._traits.of_item(item).tolist()
        ]
        is_genre = self.kind == SHARED_GENRES
        least = max(FAINT * self._shares[:, column].sum(), LEAST)
        for salience, row, name in sorted(candidates, reverse=True):
            text, weight = self._traits.names[name], float(self._weights[row, column])
            if weight <= least or text in FORMATS or not (is_genre or used.room(text)):
                continue
            holders = self._holders.indices[self._holders.indptr[row] : self._holders.indptr[row + 1]]
            holders = holders[np.argsort(-self._shares[holders, column], kind="stable")]
            named = next((int(at) for at in self._liked_idx[holders] if used.room(int(at))), None)
            return salience, Reason(self.kind, named, text, weight)
        return None
