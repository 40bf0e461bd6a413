"""The trained model: ranking, rating prediction, reasons and similar items from a user's history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.content_taste import corrections
from recommender.genre_taste import GenreTaste
from recommender.interactions import History
from recommender.model import artifact, explain, saved_parts
from recommender.model.blend import Blend
from recommender.model.content import ContentEncoder
from recommender.model.content_prior import ContentPrior
from recommender.model.explain import Reason
from recommender.model.fold_in import FactorModel, graded
from recommender.model.item_step import ItemStep
from recommender.model.match import MatchModel, Predictions, held_back, predict
from recommender.model.nearest import Neighbors, top
from recommender.model.popularity import RatingCounts
from recommender.model.rerank import WINDOW, discount_impressions, mmr
from recommender.model.scorer import Ranking
from recommender.model.star_ratings import StarsModel
from recommender.stages import EXPLAIN, PREDICT, RERANK, stage
from recommender.steering import steer
from recommender.traits import Traits

Floats = npt.NDArray[np.float32]
ItemIdx = npt.NDArray[np.int32]

GENRES = 2.0  # added to scores of favorite genres for an empty history, in standard deviations of popularity
GENRES_FADE = 5.0  # ratings after which half of it is added
TASTE = 0.7  # weight of the genre taste, in sums of the weights of the blend; chosen on validation splits
HYBRID = "hybrid"  # the kind of a model whose manifest names none
FEW_RATINGS = 10  # of an item in the fit; its match is too uncertain to hold it back
POPULAR_SHARE = 0.1  # of the catalog counts as popular


@dataclass(frozen=True)
class Hybrid:
    """Graded iALS, EDLAE, transitions and popularity; content prior, stars and match.

    item_ids: int64 (n_items,) ascending. content_vectors: float32 (n_items, 128), rows of length 1 or 0.
    stars, match and item_step are None without ratings, `ratings` also in models of former releases.
    Immutable, so that threads can share it.
    """

    manifest: dict[str, Any]
    item_ids: npt.NDArray[np.int64]
    content_vectors: Floats
    encoder: ContentEncoder
    blend: Blend
    content_prior: ContentPrior
    traits: dict[str, Traits]
    makers: Traits
    stars: StarsModel | None
    match: MatchModel | None
    item_step: ItemStep | None = None
    ratings: RatingCounts | None = None

    @property
    def version(self) -> str:
        """The name of the folder it was saved to; "" if it is not saved."""
        return str(self.manifest.get("version", ""))

    @property
    def kind(self) -> str:
        """The kind of scorer that makes its lists: `hybrid`, or another."""
        return str(self.manifest.get("kind", HYBRID))

    @property
    def factor_model(self) -> FactorModel:
        return self.blend.factor_model

    @property
    def popularity(self) -> Floats:
        """float32 (n_items,), standardized over the items with ratings."""
        return self.blend.popularity

    @property
    def n_items(self) -> int:
        return int(self.item_ids.size)

    def save(self, folder: Path) -> None:
        """Write to `folder` atomically; its name becomes the version. See `artifact.write`."""
        parts = self.parts().items()
        arrays = {f"{part}.{name}": array for part, own in parts for name, array in own.items()}
        artifact.write(folder, arrays, {**self.manifest, "version": folder.name, "keywords_selected": True})

    def parts(self) -> dict[str, artifact.Arrays]:
        """The arrays of each part, for the artifact."""
        return saved_parts.arrays_of(**{name: getattr(self, name) for name in saved_parts.NAMES})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map a saved model into memory, read-only, and check it.

        Raises artifact.ArtifactError for a damaged folder, or parts that do not fit together.
        """
        arrays, manifest = artifact.read(folder)
        try:
            model = cls._of(arrays, manifest)
            model.check()
        except Exception as error:  # a foreign file can fail anywhere; callers continue without this model
            reason = f"{type(error).__name__}: {error}"
            raise artifact.ArtifactError(f"{folder}: the parts do not make a model ({reason})") from error
        return model

    @classmethod
    def _of(cls, arrays: artifact.Arrays, manifest: Mapping[str, Any]) -> Self:
        return cls(manifest=dict(manifest), **saved_parts.read(arrays, manifest))

    def check(self) -> None:
        """Compare the lengths of the parts (else ValueError); rank, predict and explain for one user."""
        rows = {
            "content": self.content_vectors,
            "factors": self.factor_model.item_factors,
            "popularity": self.popularity,
            "makers": self.makers.matrix,
            **{kind: of_kind.matrix for kind, of_kind in self.traits.items()},
        }
        saved_parts.check_lengths(rows, self.n_items)
        if self.n_items == 0:
            return
        history = History.of([self.n_items - 1], 4.0)
        item_idx = self.recommend(history, k=2, diversity=0.5).item_idx
        self.predict(history, item_idx)
        self.reasons(history, item_idx)
        self.similar(self.n_items - 1, k=2)

    def updated(self, **parts: Any) -> Self:
        """Return the model with parts of the same items replaced; `similar` is unchanged."""
        moved = replace(self, **parts)
        for built in ("_neighbors", "_popular", "_average", "_genre_taste"):
            moved.__dict__[built] = getattr(self, built)
        return moved

    def warm(self) -> None:
        """Build the lazy parts now, so that no request waits for them."""
        _ = self.factor_model.by_factor, self._popular, self._average, self._genre_taste
        _ = [(traits.names, traits.rarity) for traits in (*self.traits.values(), self.makers)]
        if self.n_items:
            self.similar(0, k=1)

    def scores(self, history: History, favorite_genres: Sequence[str] = ()) -> Floats:
        """Scores of all items, those of the history included, float32 (n_items,)."""
        scores = self.part_scores(history).copy()
        self.add_genre_taste(scores, history)
        self.add_genres(scores, history, favorite_genres)
        return scores

    def add_genres(self, scores: Floats, history: History, favorite_genres: Sequence[str]) -> None:
        """Add to the scores of items of the favorite genres."""
        if favorite_genres:
            weight = GENRES / (1 + len(history) / GENRES_FADE)
            scores += np.float32(weight) * self.traits[explain.SHARED_GENRES].any_of(favorite_genres)

    def part_scores(self, history: History) -> Floats:
        """The scores that `reasons` explain, float32 (n_items,), read-only."""
        return self.blend.kept_scores(history)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        """The decrease of the score of each of m items without each item of the history, float32 (n, m)."""
        return self.blend.effects(history, item_idx)

    def add_genre_taste(self, scores: Floats, history: History) -> None:
        """Add what the history says on genres to blended `scores`, float32 (n_items,)."""
        if len(history):
            targets = graded(history.stars, self.factor_model.grades)
            taste = self._genre_taste.scores(history.item_idx, targets)
            scores += np.float32(TASTE) * self.blend.at(len(history)).sum() * taste

    def recommend(
        self,
        history: History,
        *,
        k: int,
        allowed: npt.NDArray[np.bool_] | None = None,
        diversity: float = 0.0,
        favorite_genres: Sequence[str] = (),
        shown: Floats | None = None,
        novelty: float = 0.0,
        added: Floats | None = None,
    ) -> Ranking:
        """Rank the best k items, none of the history; all allowed items if they are fewer.

        The first j of a k-list are the j-list. An empty history is ranked by popularity and favorite genres.
        allowed: bool (n_items,). diversity: 0 to 1, see `rerank.mmr`; at 0, shown and novelty are ignored.
        shown: float32 (n_items,), impressions of each item without engagement, which lower its score.
        novelty: 0 to 1, standard deviations of popularity subtracted. added: explicit wishes, see `steer`.
        Raises ValueError for a bad diversity.
        """
        scores = self.scores(history, favorite_genres)
        steer(scores, added)
        if diversity > 0:
            scores -= np.float32(novelty) * self.popularity
            discount_impressions(scores, shown)
        return self.ranked(scores, history, k=k, allowed=allowed, diversity=diversity)

    def ranked(
        self,
        scores: Floats,
        history: History,
        *,
        k: int,
        allowed: npt.NDArray[np.bool_] | None = None,
        diversity: float = 0.0,
    ) -> Ranking:
        """Rank by `scores`, float32 (n_items,), which are overwritten; see `recommend`.

        Content corrects the best WINDOW items, then a low match holds items back. Scores keep their places.
        """
        if allowed is not None:
            np.putmask(scores, ~allowed, np.float32(-np.inf))
        scores[history.item_idx] = -np.inf
        candidates = top(scores, k if diversity == 0 and k > WINDOW else -(-k // WINDOW) * WINDOW)
        falling = scores[candidates]
        if len(history) and k > 0:
            window = candidates[:WINDOW]
            window[:] = window[self._corrected(falling[:WINDOW], history, window)]
            window[:] = window[held_back(self._trusted_match(history, window))]
        return self.diversified(Ranking(candidates, falling), k=k, diversity=diversity)

    def diversified(self, ranking: Ranking, *, k: int, diversity: float) -> Ranking:
        """The first k of a ranking whose items are moved for diversity, see `rerank.mmr`."""
        items = ranking.item_idx
        if diversity == 0:
            return Ranking(items[:k], ranking.scores[:k])
        with stage(RERANK):
            vectors, makers = self.content_vectors[items], self.makers.matrix[items]
            order = mmr(ranking.scores, vectors, makers, diversity=diversity, k=k)
        return Ranking(items[order], ranking.scores[order])

    def _corrected(self, scores: Floats, history: History, item_idx: ItemIdx) -> npt.NDArray[np.intp]:
        """The order of m items with the corrections of their content, (m,)."""
        weight = self.blend.at(len(history)).sum() if self.kind == HYBRID else 0
        added = weight * corrections(self.content_vectors, history, item_idx)
        return np.argsort(-scores - added, kind="stable")

    def _trusted_match(self, history: History, item_idx: ItemIdx) -> Floats:
        """The match percents of m items, float32 (m,); nan for items with few ratings in the fit."""
        percents = self.predict(history, item_idx).match_percent
        if self.item_step is not None:
            percents[self.item_step.seen(item_idx) < FEW_RATINGS] = np.nan
        return percents

    def predict(self, history: History, item_idx: ItemIdx) -> Predictions:
        """Predict stars with 80 % intervals and match percents of m items; nan for items without data."""
        if self.stars is None or self.match is None:
            return Predictions(*[np.full(len(item_idx), np.nan, np.float32)] * 4)
        with stage(PREDICT):
            return predict(self.stars, self.match, history, item_idx)

    def reasons(
        self, history: History, item_idx: ItemIdx, limit: int = 2, subject: int | None = None
    ) -> list[list[Reason]]:
        """Return at most `limit` reasons for each of m items of a list, in its order; see `explain.explain`.

        Each page is explained alone. subject: an item of the history that comes first if it is a reason.
        """
        with stage(EXPLAIN):
            effects = self.effects(history, item_idx)
            average = explain.average_share(self.part_scores(history), self._average, item_idx)
            kin = explain.kinship(self.content_vectors, self.makers.matrix, history.item_idx, item_idx)
            reasons = explain.explain(history, item_idx, effects, average, kin, self.traits, limit, subject)
        popular = (self.popularity[item_idx] >= self._popular) & (limit > 0)
        return explain.or_popular(reasons, popular)

    def moved_by(self, history: History, item_idx: ItemIdx, subject: int) -> npt.NDArray[np.bool_]:
        """Whether the score of each of m items falls without `subject` in the history, bool (m,)."""
        of_subject = self.effects(history, item_idx)[history.item_idx == subject]
        return np.asarray(of_subject.max(axis=0, initial=0) > 0)

    def similar(
        self, item_idx: int, *, k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[ItemIdx, Floats]:
        """The k most similar other items by content and factors, int32 (m,), and cosines, float32 (m,)."""
        return self._neighbors.similar(item_idx, k=k, allowed=allowed)

    @cached_property
    def _neighbors(self) -> Neighbors:
        return Neighbors(self.content_vectors, self.factor_model.item_factors)

    @cached_property
    def _genre_taste(self) -> GenreTaste:
        counts = np.ones(self.n_items, np.int64) if self.item_step is None else self.item_step.counts
        return GenreTaste.of(self.traits[explain.SHARED_GENRES].matrix, counts)

    @cached_property
    def _average(self) -> Floats:
        """The standardized scores of the average user, float32 (n_items,)."""
        return self.factor_model.average_scores()

    @cached_property
    def _popular(self) -> float:
        return float(np.quantile(self.popularity, 1 - POPULAR_SHARE)) if self.n_items else 0.0
