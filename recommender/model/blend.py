"""Blend the scores of several models, with weights that depend on the length of the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.model.edlae import ItemWeights
from recommender.model.fold_in import FactorModel
from recommender.model.transitions import ItemTransitions, standardize
from recommender.stages import FOLD_IN, SCAN, stage

Floats = npt.NDArray[np.float32]

FACTORS, ITEMS, TRANSITIONS, POPULARITY = range(4)
KNOTS = (1.0, 2.5, 5.5, 11.5, 23.5, 47.5, 96.0)  # lengths of history: 1, 2-3, 4-7, .. 32-63, 64 and more


@dataclass(frozen=True, slots=True)
class Blend:
    """Weighted sum of factors, item-to-item weights, transitions and popularity.

    The scores of each part are standardized over the items with ratings. popularity: float32 (n_items,),
    standardized. weights: float32 (n_knots, 4), of the parts in the order above, at each length of KNOTS;
    between knots they are interpolated linearly over the logarithm of the length.
    """

    factor_model: FactorModel
    item_weights: ItemWeights
    transitions: ItemTransitions
    popularity: Floats
    weights: Floats

    def at(self, n_history: int) -> Floats:
        """The weights of the parts for a history of n_history > 0 items, float32 (4,)."""
        length = np.log(n_history)
        return np.array([np.interp(length, np.log(KNOTS), column) for column in self.weights.T], np.float32)

    def scores(self, history: History) -> Floats:
        """The blended scores, float32 (n_items,); popularity for an empty history."""
        if not len(history):
            return self.popularity.copy()
        weights = self.at(len(history))
        with stage(FOLD_IN):
            user_factors = self.factor_model.user_factors(history)
        with stage(SCAN):
            scores = self._by_user_factors(user_factors, weights[FACTORS])
            if weights[ITEMS]:
                self.add_by_items(scores, history, weights[ITEMS])
            if weights[TRANSITIONS]:
                self.add_by_transitions(scores, history, weights[TRANSITIONS])
            if weights[POPULARITY]:
                scores += weights[POPULARITY] * self.popularity
        return scores

    def kept_scores(self, history: History) -> Floats:
        """The results of `scores`, read-only; computed once and kept with the history."""
        found = history.derived.get(id(self))
        if not isinstance(found, KeptScores) or found.blend is not self:
            found = history.derived[id(self)] = KeptScores(self, self.scores(history))
            found.scores.setflags(write=False)
        return found.scores

    def by_factors(self, history: History, weight: np.float32) -> Floats:
        """The standardized scores of the factors times `weight`, float32 (n_items,)."""
        return self._by_user_factors(self.factor_model.user_factors(history), weight)

    def _by_user_factors(self, user_factors: Floats, weight: np.float32) -> Floats:
        mean, deviation = self.factor_model.standardize(user_factors)
        scale = _scale(weight, float(deviation))
        scores = np.asarray((user_factors * scale) @ self.factor_model.by_factor, np.float32)
        scores -= scale * np.float32(mean)
        return scores

    def add_by_items(self, scores: Floats, history: History, weight: np.float32) -> None:
        """Add the standardized scores of the item weights times `weight` to `scores`, float32 (n_items,)."""
        raw = self.item_weights.scores(history)
        mean, deviation = self.item_weights.standardize(raw, self.factor_model.n_rated)
        scale = _scale(weight, deviation)
        scores -= scale * np.float32(mean)
        scores[self.item_weights.item_idx] += scale * raw

    def add_by_transitions(self, scores: Floats, history: History, weight: np.float32) -> None:
        """Add the standardized scores of the transitions times `weight` to `scores`, float32 (n_items,)."""
        raw = self.transitions.scores(history)
        mean, deviation = standardize(raw, self.factor_model.n_rated)
        scale = _scale(weight, deviation)
        scores += scale * (raw - np.float32(mean))

    def effects(self, history: History, item_idx: npt.NDArray[np.int32]) -> Floats:
        """The decrease of the score of each of m items without each item of the history, float32 (n, m).

        The parts are linear in the targets, so that it is exact, but for how the length of a history weighs.
        """
        if not len(history):
            return np.zeros((0, len(item_idx)), np.float32)
        weights = self.at(len(history))
        effects: Floats = weights[FACTORS] * self.factor_model.effects(history, item_idx)
        if weights[ITEMS]:
            by_items = self.item_weights.effects(history, item_idx, self.factor_model.n_rated)
            effects += weights[ITEMS] * by_items
        if weights[TRANSITIONS]:
            by_order = self.transitions.effects(history, item_idx, self.factor_model.n_rated)
            effects += weights[TRANSITIONS] * by_order
        return effects

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact, without that of the first three parts."""
        return {"popularity": self.popularity, "weights": self.weights}

    @classmethod
    def from_arrays(
        cls,
        factors: Mapping[str, npt.NDArray[Any]],
        items: Mapping[str, npt.NDArray[Any]],
        transitions: Mapping[str, npt.NDArray[Any]],
        own: Mapping[str, npt.NDArray[Any]],
    ) -> Self:
        """The inverse of `arrays` of the four parts."""
        order = ItemTransitions.from_arrays(transitions)
        return cls(
            FactorModel.from_arrays(factors),
            ItemWeights.from_arrays(items),
            order,
            own["popularity"],
            own["weights"],
        )


@dataclass(frozen=True, slots=True)
class KeptScores:
    """The scores of a history by a blend, float32 (n_items,)."""

    blend: Blend
    scores: Floats


def _scale(weight: np.float32, deviation: float) -> np.float32:
    return np.float32(weight / deviation if deviation > 0 else 0)
