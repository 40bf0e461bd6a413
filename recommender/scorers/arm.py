"""A served model whose lists come from one scorer; its predictions, traits and content are the hybrid's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.item_features import ItemFeatures
from recommender.model import artifact, new_items
from recommender.model.hybrid import Hybrid
from recommender.scorers.autoencoder import Autoencoder
from recommender.scorers.content import Content
from recommender.scorers.item_knn import ItemKnn
from recommender.scorers.nmf import Nmf
from recommender.scorers.part import Floats, ItemIdx, Part
from recommender.scorers.popularity import Popularity
from recommender.scorers.svd import Svd
from recommender.scorers.user_knn import UserKnn

TIE = 1e-3  # standard deviations of popularity, which order items of equal score
PARTS: Mapping[str, type[Part]] = {
    part.kind: part for part in (UserKnn, Svd, Nmf, ItemKnn, Content, Popularity, Autoencoder)
}


@dataclass(frozen=True)
class Arm(Hybrid):
    """A model of one of the kinds PARTS.

    Its blend holds the popularity, and content vectors in place of factors: the nearest movies are those of
    the nearest content. It has no item_step, so online updates leave it alone.
    """

    part: Part = Popularity(0)  # noqa: RUF009 - immutable

    def scores(self, history: History, favorite_genres: Sequence[str] = ()) -> Floats:
        """Standardized scores of the part, float32 (n_items,)."""
        scores = self.part_scores(history)
        self.add_genres(scores, history, favorite_genres)
        return scores

    def part_scores(self, history: History) -> Floats:
        return standardized(self.part.scores(history), self.popularity)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        return self.part.effects(history, item_idx)

    @cached_property
    def _average(self) -> Floats:
        """Popularity, since the scorer has no average user."""
        return self.popularity

    def parts(self) -> dict[str, artifact.Arrays]:
        return {**super().parts(), "scorer": dict(self.part.arrays())}

    @classmethod
    def _of(cls, arrays: artifact.Arrays, manifest: Mapping[str, Any]) -> Self:
        start = "scorer."
        own = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        part = PARTS[manifest["kind"]].from_arrays(own)
        return replace(super()._of(arrays, manifest), part=part)

    def check(self) -> None:
        if (n_scored := len(self.part.scores(History.of([])))) != self.n_items:
            raise ValueError(f"the scorer describes {n_scored} items, not {self.n_items}")
        super().check()

    def warm(self) -> None:
        super().warm()
        if self.n_items:
            self.part.scores(History.of([0]))


def standardized(raw: Floats, popularity: Floats) -> Floats:
    """Scores in standard deviations above their mean; popularity if all are equal. float32 (n_items,).

    Popularity orders items of equal score.
    """
    deviation = float(raw.std(dtype=np.float64)) if raw.size else 0.0
    if deviation <= 1e-9 * float(np.abs(raw).max(initial=0)):  # equal but for rounding
        return popularity.copy()
    scores = (raw - np.float32(raw.mean(dtype=np.float64))) / np.float32(deviation)
    return np.asarray(scores + np.float32(TIE) * popularity, np.float32)


def with_items(model: Hybrid, items: ItemFeatures) -> Hybrid:
    """Add or change items in a model of any kind; see `new_items.with_items`.

    A scorer other than the content has learned nothing of a new item, so that it comes last.
    """
    longer = new_items.with_items(model, items)
    if not isinstance(model, Arm) or not isinstance(longer, Arm):
        return longer
    place: npt.NDArray[np.int64] = np.searchsorted(longer.item_ids, model.item_ids)
    return replace(longer, part=model.part.with_items(place, longer.content_vectors))
