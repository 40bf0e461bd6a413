"""The trained model: ranking, rating prediction, reasons and similar items from a user's history."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.genre_taste import GenreTaste
from recommender.interactions import History
from recommender.model import artifact, explain
from recommender.model.blend import Blend
from recommender.model.content import ContentEncoder
from recommender.model.content_prior import ContentPrior
from recommender.model.explain import Reason
from recommender.model.fold_in import FactorModel, graded
from recommender.model.item_step import ItemStep
from recommender.model.match import MatchModel, Predictions, held_back, predict
from recommender.model.nearest import Neighbors, top
from recommender.model.rerank import WINDOW, mmr
from recommender.model.scorer import Ranking
from recommender.model.stages import EXPLAIN, PREDICT, RERANK, stage
from recommender.model.star_ratings import StarsModel
from recommender.traits import Traits

Floats = npt.NDArray[np.float32]
ItemIdx = npt.NDArray[np.int32]

GENRES = 2.0  # added to scores of favorite genres for an empty history, in standard deviations of popularity
GENRES_FADE = 5.0  # ratings after which half of it is added
# Weight of the genre taste, in sums of the weights of the blend. Chosen on validation splits.
TASTE = 0.7
HYBRID = "hybrid"  # the kind of a model whose manifest names none
FATIGUE = 0.3  # subtracted from scores, in standard deviations, times log(1 + impressions)
BLENDED = ("factors", "items", "succession", "blend")
TRAITS = (explain.SHARED_PEOPLE, explain.SHARED_KEYWORDS, explain.SHARED_GENRES)
POPULAR_SHARE = 0.1  # of the catalog counts as popular


@dataclass(frozen=True)
class Hybrid:
    """Graded iALS, EDLAE, transitions and popularity; content prior, stars and match.

    item_ids: int64 (n_items,) ascending. content_vectors: float32 (n_items, 128), rows of length 1 or 0.
    stars, match and item_step are None in a model without ratings.
    The model has no state of single users and is immutable, so that threads can share it.
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

    @property
    def version(self) -> str:
        """The name of the folder it was saved to; "" if it is not saved."""
        return str(self.manifest.get("version", ""))

    @property
    def kind(self) -> str:
        """What makes its lists: `hybrid`, or a scorer's kind."""
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
        named = self.parts().items()
        arrays = {f"{part}.{name}": array for part, of_part in named for name, array in of_part.items()}
        artifact.write(folder, arrays, {**self.manifest, "version": folder.name, "keywords_selected": True})

    def parts(self) -> dict[str, artifact.Arrays]:
        """The arrays of each part, for the artifact."""
        parts: dict[str, artifact.Arrays] = {
            "encoder": dict(self.encoder.arrays()),
            "factors": self.blend.factor_model.arrays(),
            "items": self.blend.item_weights.arrays(),
            "succession": self.blend.transitions.arrays(),
            "blend": self.blend.arrays(),
            "placement": asdict(self.content_prior),
            "hybrid": {"item_ids": self.item_ids, "content": self.content_vectors},
            "makers": self.makers.arrays(),
            **{kind.lower(): of_kind.arrays() for kind, of_kind in self.traits.items()},
        }
        if self.stars is not None and self.match is not None:
            parts |= {"stars": dict(self.stars.arrays()), "match": dict(self.match.arrays())}
        if self.item_step is not None:
            parts["film_step"] = self.item_step.arrays()
        return parts

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map a saved model into memory, read-only, and check it.

        Raises artifact.ArtifactError if the folder is not a usable model: damaged, of another kind, or with
        parts that do not fit together.
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
        parts: dict[str, artifact.Arrays] = {}
        for path, array in arrays.items():
            part, _, name = path.partition(".")
            parts.setdefault(part, {})[name] = array
        traits = {kind: Traits.from_arrays(parts[kind.lower()]) for kind in TRAITS}
        if not manifest.get("keywords_selected"):
            keywords, people = traits[explain.SHARED_KEYWORDS], traits[explain.SHARED_PEOPLE]
            traits[explain.SHARED_KEYWORDS] = keywords.without_unnamed(people.names)
        return cls(
            manifest=dict(manifest),
            item_ids=parts["hybrid"]["item_ids"],
            content_vectors=parts["hybrid"]["content"],
            encoder=ContentEncoder.from_arrays(parts["encoder"]),
            blend=Blend.from_arrays(*(parts[name] for name in BLENDED)),
            content_prior=ContentPrior(**parts["placement"]),
            traits=traits,
            makers=Traits.from_arrays(parts["makers"]),
            stars=StarsModel.from_arrays(parts["stars"]) if "stars" in parts else None,
            match=MatchModel.from_arrays(parts["match"]) if "match" in parts else None,
            item_step=ItemStep.from_arrays(parts["film_step"]) if "film_step" in parts else None,
        )

    def check(self) -> None:
        """Compare the lengths of the parts; rank, predict and explain for one user.

        Raises ValueError for parts of different lengths, and any error of a part that fails.
        """
        rows = {
            "content": self.content_vectors,
            "factors": self.factor_model.item_factors,
            "popularity": self.popularity,
            "makers": self.makers.matrix,
            **{kind: of_kind.matrix for kind, of_kind in self.traits.items()},
        }
        for name, array in rows.items():
            if array.shape[0] != self.n_items:
                raise ValueError(f"{name} describes {array.shape[0]} items, not {self.n_items}")
        if self.n_items == 0:
            return
        history = History.of([self.n_items - 1], 4.0)
        ranking = self.recommend(history, k=2, diversity=0.5)
        self.predict(history, ranking.item_idx)
        self.reasons(history, ranking.item_idx)
        self.similar(self.n_items - 1, k=2)

    def item_moved(self, item: int, fitted: Floats, histories: Sequence[History], stars: Floats) -> Floats:
        """Update the factors of an item, `fitted` in the fit, from n new ratings: float32 (factors,).

        histories: of the n users who rated the item. stars: float32 (n,), their ratings since the fit. The
        item itself is left out of each history. Requires an item_step.
        """
        assert self.item_step is not None
        users = np.stack([self.factor_model.user_factors(history.without(item)) for history in histories])
        return self.item_step.moved(item, fitted, users, graded(stars, self.factor_model.grades))

    def with_items(self, rows: Mapping[int, Floats]) -> Self:
        """Return the model with new factors, float32 (factors,), of some items; `similar` is unchanged."""
        model = self.factor_model
        item_factors = np.array(model.item_factors)
        item_factors[list(rows)] = list(rows.values())
        blend = replace(self.blend, factor_model=replace(model, item_factors=item_factors))
        moved = replace(self, blend=blend)
        _ = blend.factor_model.by_factor  # built now, not in the first request
        for built in ("_neighbors", "_popular", "_average", "_genre_taste"):
            moved.__dict__[built] = getattr(self, built)
        return moved

    def warm(self) -> None:
        """Build what is otherwise built on first use, so that no request waits."""
        _ = self.factor_model.by_factor, self._popular, self._average, self._genre_taste
        for traits in (*self.traits.values(), self.makers):
            _ = traits.names, traits.rarity
        if self.n_items:
            self.similar(0, k=1)

    def scores(self, history: History, favorite_genres: Sequence[str] = ()) -> Floats:
        """Scores of all items, those of the history included, float32 (n_items,)."""
        scores = self.blend.scores(history)
        self.add_genre_taste(scores, history)
        self.add_genres(scores, history, favorite_genres)
        return scores

    def add_genres(self, scores: Floats, history: History, favorite_genres: Sequence[str]) -> None:
        """Add to the scores of items of the favorite genres."""
        if favorite_genres:
            weight = GENRES / (1 + len(history) / GENRES_FADE)
            scores += np.float32(weight) * self._has_any(favorite_genres)

    def part_scores(self, history: History) -> Floats:
        """The scores that `reasons` explain, float32 (n_items,)."""
        return self.blend.scores(history)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        """The decrease of the score of each of m items without each item of the history, float32 (n, m)."""
        return self.blend.effects(history, item_idx)

    def add_genre_taste(self, scores: Floats, history: History) -> None:
        """Add what the history says on genres to blended `scores`, float32 (n_items,)."""
        if len(history):
            taste = self._genre_taste.scores(
                history.item_idx, graded(history.stars, self.factor_model.grades)
            )
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
    ) -> Ranking:
        """Rank the best k items, none of the history; all allowed items if they are fewer.

        The first j of a k-list are the j-list. An empty history is ranked by popularity and favorite genres.
        allowed: bool (n_items,). diversity: 0 to 1, see `rerank.mmr`. shown: float32 (n_items,), impressions
        of each item without engagement, which lower its score. novelty: 0 to 1, standard deviations of
        popularity subtracted from scores. At diversity 0, shown and novelty are ignored. Raises ValueError
        for a bad diversity.
        """
        scores = self.scores(history, favorite_genres)
        if diversity > 0:
            if shown is not None:
                scores -= np.float32(FATIGUE) * np.log1p(shown)
            if novelty:
                scores -= np.float32(novelty) * self.popularity
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

        Among the best WINDOW items those of a low match are held back if there is a history. The score of a
        moved item is that of its new place.
        """
        if allowed is not None:
            np.putmask(scores, ~allowed, np.float32(-np.inf))
        scores[history.item_idx] = -np.inf
        whole_windows = -(-k // WINDOW) * WINDOW
        candidates = top(scores, k if diversity == 0 and k > WINDOW else whole_windows)
        falling = scores[candidates]
        if len(history) and k > 0:
            window = candidates[:WINDOW]
            window[:] = window[held_back(self.predict(history, window).match_percent)]
        if diversity == 0:
            return Ranking(candidates[:k], falling[:k])
        with stage(RERANK):
            makers = self.makers.matrix[candidates]
            content = self.content_vectors[candidates]
            order = mmr(falling, content, makers, diversity=diversity, k=k)
        return Ranking(candidates[order], falling[order])

    def predict(self, history: History, item_idx: ItemIdx) -> Predictions:
        """Predict stars with 80 % intervals and match percents of m items; nan for items without data."""
        if self.stars is None or self.match is None:
            unknown = np.full(len(item_idx), np.nan, np.float32)
            return Predictions(unknown, unknown, unknown, unknown)
        with stage(PREDICT):
            return predict(self.stars, self.match, history, item_idx)

    def reasons(
        self, history: History, item_idx: ItemIdx, limit: int = 2, subject: int | None = None
    ) -> list[list[Reason]]:
        """Return at most `limit` reasons for each of m items of a list, in its order; see `explain.explain`.

        Each page of a list is explained alone. subject: an item of the history that comes first if it is a
        reason.
        """
        with stage(EXPLAIN):
            effects = self.effects(history, item_idx)
            average = explain.average_share(self.part_scores(history), self._average, item_idx)
            content, makers = self.content_vectors, self.makers.matrix
            liked_idx = history.item_idx
            common = makers[liked_idx] @ makers[item_idx].T
            kinship = explain.kinship(content[liked_idx], content[item_idx], common)
            reasons = explain.explain(
                history, item_idx, effects, average, kinship, self.traits, limit, subject
            )
        popular = (self.popularity[item_idx] >= self._popular).tolist()
        for place, found in enumerate(reasons):
            if not found and limit > 0 and popular[place]:
                found.append(Reason(explain.POPULAR, None, "", 1.0))
        return reasons

    def moved_by(self, history: History, item_idx: ItemIdx, subject: int) -> npt.NDArray[np.bool_]:
        """Whether the score of each of m items falls without `subject` in the history, bool (m,)."""
        effects = self.effects(history, item_idx)
        return np.asarray(effects[history.item_idx == subject].max(axis=0, initial=0) > 0)

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
        genres = self.traits[explain.SHARED_GENRES].matrix
        counts = np.ones(self.n_items, np.int64) if self.item_step is None else self.item_step.counts
        return GenreTaste.of(genres, counts)

    @cached_property
    def _average(self) -> Floats:
        """The standardized scores of the average user, float32 (n_items,)."""
        mean, deviation = self.factor_model.standardize(self.factor_model.average)
        scores = self.factor_model.item_factors @ self.factor_model.average - mean
        return np.asarray(scores / np.where(deviation > 0, deviation, np.inf), np.float32)

    @cached_property
    def _popular(self) -> float:
        return float(np.quantile(self.popularity, 1 - POPULAR_SHARE)) if self.n_items else 0.0

    def _has_any(self, genres: Sequence[str]) -> Floats:
        """1 for items of any of these genres, float32 (n_items,)."""
        genre_traits = self.traits[explain.SHARED_GENRES]
        selected = np.isin(genre_traits.names, list(genres)).astype(np.float32)
        return np.asarray(np.minimum(genre_traits.matrix @ selected, 1), np.float32)
