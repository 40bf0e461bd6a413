"""The trained model: lists, judgements, reasons and neighbours from one user's history as it is now."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender import artifact, calibration, explain
from recommender.calibration import Judgement, MatchModel
from recommender.content import ContentEncoder, Films
from recommender.explain import Reason, Traits
from recommender.fold_in import FactorModel, graded
from recommender.index import Neighbours, top, unit
from recommender.interactions import History, Interactions
from recommender.placement import Placement
from recommender.popularity import popularity
from recommender.ratings import StarsModel
from recommender.rerank import WINDOW, mmr

Floats = npt.NDArray[np.float32]
ItemIdx = npt.NDArray[np.int32]
Progress = Callable[[str, float], None]

# Popularity enters a list with weight POPULARITY / n for a history of n films: one rating says little, fifty
# speak for themselves. Chosen on validation users with 1 to 20 ratings.
POPULARITY = 15.0
GENRES = 2.0  # standard deviations of popularity that a favourite genre is worth while there is no history
GENRES_FADE = 5.0  # ratings after which it is worth half
TRAITS = (explain.SHARED_PEOPLE, explain.SHARED_KEYWORDS, explain.SHARED_GENRES)
POPULAR_SHARE = 0.1  # of the catalogue: what may be called popular


@dataclass(frozen=True, slots=True)
class Config:
    """What training may be told; the words are those of `ials`."""

    factors: int = 128  # fewer where there are fewer users or films
    regularization: float | None = None  # measured from the ratings: `ials.regularization_for`
    alpha0: float = 0.4
    iterations: int = 12
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Films best first, int32 (m,), and their scores, float32 (m,): deviations above the user's mean."""

    item_idx: ItemIdx
    scores: Floats


@dataclass(frozen=True)
class Hybrid:
    """Graded iALS with content placement, popularity, a stars head and calibrated match.

    item_ids: int64 (n_items,) ascending. content_vectors: float32 (n_items, 128), rows of length 1 or 0.
    popularity: float32 (n_items,), standardised. stars and match are None in a model of no ratings.
    Nothing about a single user is kept. Unchanged after it is made, so that threads may share it.
    """

    manifest: dict[str, Any]
    item_ids: npt.NDArray[np.int64]
    content_vectors: Floats
    encoder: ContentEncoder
    factor_model: FactorModel
    placement: Placement
    popularity: Floats
    traits: dict[str, Traits]
    stars: StarsModel | None
    match: MatchModel | None

    @property
    def version(self) -> str:
        """The name of the folder it was saved to; "" before."""
        return str(self.manifest.get("version", ""))

    @property
    def n_items(self) -> int:
        return int(self.item_ids.size)

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        films: Films,
        config: Config = Config(),
        progress: Progress = lambda _stage, _fraction: None,
    ) -> Self:
        """Train on all ratings; `films` describes interactions.item_ids one by one (else ValueError).

        The same input and config give the same model, whatever the number of threads.
        """
        if not np.array_equal(interactions.item_ids, films.item_ids):
            raise ValueError("films must describe the films of the interactions, one by one")
        rng = np.random.default_rng(config.seed)
        progress("content", 0.0)
        encoder = ContentEncoder.fit(films, rng=rng)
        content = encoder.transform(films)
        factor_model, placement = _fit_factors(interactions, content, config, rng, progress)
        stars, match = None, None
        metrics: dict[str, float] = {}
        if interactions.nnz:
            stars, match, metrics = calibration.fit_judge(
                interactions, content, rng=rng, progress=lambda fraction: progress("stars", fraction)
            )
        counts = {
            "n_users": interactions.n_users,
            "n_items": interactions.n_items,
            "n_ratings": interactions.nnz,
        }
        chosen = {"factors": factor_model.energy.size, "regularization": factor_model.regularization}
        return cls(
            manifest={"config": asdict(config) | chosen, "metrics": metrics, **counts},
            item_ids=interactions.item_ids,
            content_vectors=content,
            encoder=encoder,
            factor_model=factor_model,
            placement=placement,
            popularity=popularity(interactions, films.vote_count),
            traits=explain.traits_of(films),
            stars=stars,
            match=match,
        )

    def save(self, folder: Path) -> None:
        """Write to `folder`, whose name becomes the version, whole or not at all; see `artifact.write`."""
        parts: dict[str, artifact.Arrays] = {
            "encoder": dict(self.encoder.arrays()),
            "factors": self.factor_model.arrays(),
            "placement": asdict(self.placement),
            "hybrid": {
                "item_ids": self.item_ids,
                "content": self.content_vectors,
                "popularity": self.popularity,
            },
            **{kind.lower(): of_kind.arrays() for kind, of_kind in self.traits.items()},
        }
        if self.stars is not None and self.match is not None:
            parts |= {"stars": dict(self.stars.arrays()), "match": dict(self.match.arrays())}
        arrays = {f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()}
        artifact.write(folder, arrays, {**self.manifest, "version": folder.name})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map a saved model into memory, read-only. Raises artifact.ArtifactError when it is not one."""
        arrays, manifest = artifact.read(folder)
        parts: dict[str, artifact.Arrays] = {}
        for path, array in arrays.items():
            part, _, name = path.partition(".")
            parts.setdefault(part, {})[name] = array
        try:
            return cls(
                manifest=manifest,
                item_ids=parts["hybrid"]["item_ids"],
                content_vectors=parts["hybrid"]["content"],
                encoder=ContentEncoder.from_arrays(parts["encoder"]),
                factor_model=FactorModel.from_arrays(parts["factors"]),
                placement=Placement(**parts["placement"]),
                popularity=parts["hybrid"]["popularity"],
                traits={kind: Traits.from_arrays(parts[kind.lower()]) for kind in TRAITS},
                stars=StarsModel.from_arrays(parts["stars"]) if "stars" in parts else None,
                match=MatchModel.from_arrays(parts["match"]) if "match" in parts else None,
            )
        except (KeyError, TypeError) as error:
            raise artifact.ArtifactError(f"{folder}: a part of the model is missing: {error}") from error

    def scores(self, history: History, favorite_genres: Sequence[str] = ()) -> Floats:
        """float32 (n_items,): the blend that orders a list, for all films, those of the history too."""
        if len(history):
            factors = self.factor_model.user_factors(history)
            mean, deviation = self.factor_model.standardise(factors)
            scale = np.float32(1 / deviation if deviation > 0 else 0)
            scores: Floats = self.factor_model.item_factors @ (factors * scale)  # (n_items, d) @ (d,)
            scores += np.float32(POPULARITY / len(history)) * self.popularity
            scores -= np.float32(mean) * scale
        else:
            scores = self.popularity.copy()
        if favorite_genres:
            weight = GENRES / (1 + len(history) / GENRES_FADE)
            scores += np.float32(weight) * self._bears(favorite_genres)
        return scores

    def recommend(
        self,
        history: History,
        *,
        k: int,
        allowed: npt.NDArray[np.bool_] | None = None,
        diversity: float = 0.0,
        favorite_genres: Sequence[str] = (),
    ) -> Ranking:
        """The best k films, never one of the history; all that are allowed where they are fewer.

        allowed: bool (n_items,). diversity: 0 to 1, see `rerank.mmr`. The first j of a k-list are the j-list.
        An empty history gives the list by popularity and favourite genres. ValueError for a bad diversity.
        """
        scores = self.scores(history, favorite_genres)
        if allowed is not None:
            np.putmask(scores, ~allowed, np.float32(-np.inf))
        scores[history.item_idx] = -np.inf
        if diversity == 0:
            best = top(scores, k)
            return Ranking(best, scores[best])
        candidates = top(scores, -(-k // WINDOW) * WINDOW)
        order = mmr(scores[candidates], self._look(candidates), diversity=diversity, k=k)
        return Ranking(candidates[order], scores[candidates[order]])

    def judge(self, history: History, item_idx: ItemIdx) -> Judgement:
        """Stars with their 80 % interval, and match percent, for m films; nan where nothing is known."""
        if self.stars is None or self.match is None:
            unknown = np.full(len(item_idx), np.nan, np.float32)
            return Judgement(unknown, unknown, unknown, unknown)
        return calibration.judge(self.stars, self.match, history, item_idx)

    def reasons(self, history: History, item_idx: ItemIdx, limit: int = 2) -> list[list[Reason]]:
        """For each of m films at most `limit` reasons, the strongest first; none rather than a false one."""
        effects = self.factor_model.effects(history, item_idx)
        reasons = explain.explain(history, item_idx, effects, self.traits, limit)
        for told, film in zip(reasons, item_idx.tolist(), strict=True):
            if not told and limit > 0 and self.popularity[film] >= self._popular:
                told.append(Reason(explain.POPULAR, None, "", 1.0))
        return reasons

    def similar(
        self, item_idx: int, *, k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[ItemIdx, Floats]:
        """The k nearest other films int32 (m,) by content and taste, with their cosines float32 (m,)."""
        return self._neighbours.similar(item_idx, k=k, allowed=allowed)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours(self.content_vectors, self.factor_model.item_factors)

    @cached_property
    def _popular(self) -> float:
        return float(np.quantile(self.popularity, 1 - POPULAR_SHARE)) if self.n_items else 0.0

    def _bears(self, genres: Sequence[str]) -> Floats:
        """float32 (n_items,): 1 for films of any of these genres."""
        genre_traits = self.traits[explain.SHARED_GENRES]
        wanted = np.isin(genre_traits.names, list(genres)).astype(np.float32)
        return np.asarray(np.minimum(genre_traits.matrix @ wanted, 1), np.float32)

    def _look(self, item_idx: ItemIdx) -> Floats:
        """float32 (m, n_genres + factors), rows of length 1 or 0: what should differ along a list."""
        genres = self.traits[explain.SHARED_GENRES].matrix[item_idx].toarray()
        return unit(np.concatenate([unit(genres), unit(self.factor_model.item_factors[item_idx])], axis=1))


def _fit_factors(
    interactions: Interactions, content: Floats, config: Config, rng: np.random.Generator, progress: Progress
) -> tuple[FactorModel, Placement]:
    """iALS over the films that have ratings; the others stand where their content puts them."""
    from recommender import ials  # noqa: PLC0415 - numba, which serving never loads

    counts = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    rated = counts > 0
    if not rated.any():  # without a single rating, taste is taken to lie along the content
        everything = np.ones(len(content), bool)
        model = FactorModel.of(content, everything, regularization=ials.NOISE_SHARE, alpha0=config.alpha0)
        return model, Placement.fit(content, model.item_factors, everything.astype(np.int64))
    targets = interactions.user_items[:, rated].tocsr()
    targets.data = graded(targets.data)
    regularization = config.regularization
    if regularization is None:
        regularization = ials.regularization_for(targets, alpha0=config.alpha0, rng=rng)
    weights = {"regularization": regularization, "alpha0": config.alpha0}
    _, fitted = ials.fit(
        targets,
        factors=min(config.factors, *targets.shape),
        iterations=config.iterations,
        rng=rng,
        progress=lambda fraction: progress("factors", fraction),
        **weights,
    )
    item_factors = np.zeros((interactions.n_items, fitted.shape[1]), np.float32)
    item_factors[rated] = fitted
    model = FactorModel.of(item_factors, rated, **weights)
    placement = Placement.fit(content[rated], model.item_factors[rated], counts[rated])
    model.item_factors[~rated] = placement.factors(content[~rated])
    return model, placement
