"""Measure how well choices of the blend carry over to another data set, on users held out.

    python -m bench.carry_over [--seeds N] [--page FILE] [--data FOLDER]

FOLDER holds any of ml-latest-small, movietweetings and ml-100k; by default ../shared/data. Samples of other
shapes are cut from these.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.offline.training import read_data
from bench.figures import ROOT, commit
from recommender import metrics, splits
from recommender.evaluation.baseline_settings import BASELINES
from recommender.evaluation.baselines import Scores
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.metrics import RELEVANT_STARS
from recommender.model.blend import ITEMS, TRANSITIONS, Blend
from recommender.model.content import ContentEncoder
from recommender.model.nearest import top
from recommender.model.popularity import popularity
from recommender.scorers.likes import liked
from recommender.splits import Split
from recommender.training import choices
from recommender.training.choices import PART_NAMES, USUAL_WEIGHTS, Choices
from recommender.training.config import Config
from recommender.training.fit_blend import fit_chosen

SPARSE_RATINGS, THIN_SHARE, DENSE_COUNT = 72_000, 0.35, 10
MAX_USERS = 1_000  # tested users of a set
DEPTH = 10

Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """A split of a set, and the choices made on its training set."""

    split: Split
    content: NDArray[np.float32]
    popularity: NDArray[np.float32]
    chosen: Choices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="splits of each set")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    with threadpool_limits(limits=1, user_api="blas"):
        lines = list(measure(options.data, options.seeds))
    for line in lines:
        print(line)  # noqa: T201 - it is a command
    if options.page:
        options.page.write_text(
            "\n".join((*HEAD, f"Commit `{commit()}`.", "", *lines)) + "\n", encoding="utf-8"
        )


HEAD = (
    "# Carry-over of choices",
    "",
    "Written by `python -m bench.carry_over`. A fifth of the users of each set is held out. The first table",
    "compares the blend with its parts and with each baseline of `evaluate` at its best setting on these",
    "same users. The second applies the choices (targets of stars, noise of the prior, weights of the parts)",
    "made on the set of the row to the set of the column: NDCG@10 minus that of the set's own choices, in",
    "standard errors of NDCG@10 over users; `same` are equal choices. Chosen are the noise, the target of",
    "two stars, and the factors of the usual weights of items and transitions.",
    "",
)


def sets(data: Path) -> Iterator[tuple[str, Interactions]]:
    """The sets, without content, by name."""
    rng = np.random.default_rng(0)
    for name in ("ml-latest-small", "ml-100k", "movietweetings"):
        if not (data / name).is_dir():
            continue
        ratings = read_data(data / name, [], lambda _stage, _fraction: None).interactions
        counts = np.bincount(ratings.user_items.indices, minlength=ratings.n_items)
        if name == "movietweetings":
            sample = np.zeros(ratings.nnz, bool)
            sample[rng.permutation(ratings.nnz)[:SPARSE_RATINGS]] = True
            yield "sparse", _rated(ratings.with_ratings(sample))
            continue
        if name == "ml-latest-small":
            yield "dense", _rated(ratings.with_ratings(counts[ratings.user_items.indices] >= DENSE_COUNT))
        else:
            yield name, ratings
        yield f"thin {name}", _rated(ratings.with_ratings(rng.random(ratings.nnz) < THIN_SHARE))


def measure(data: Path, n_seeds: int) -> Iterator[str]:
    """The rows of both tables."""
    cases: dict[str, list[Case]] = {}
    for name, ratings in sets(data):
        cases[name] = [_case(ratings, seed) for seed in range(n_seeds)]
    own: dict[str, list[Figures]] = {}
    yield from (
        "| set | blend | best part | best baseline | blend minus part, baseline | chosen |",
        "|---" * 6 + "|",
    )
    for name, of_set in cases.items():
        blends = [_fit(case, case.chosen) for case in of_set]
        own[name] = [_ndcg(case.split, blend.scores) for case, blend in zip(of_set, blends, strict=True)]
        parts = [_parts(case, blend) for case, blend in zip(of_set, blends, strict=True)]
        baselines = [_baselines(case) for case in of_set]
        yield _row(name, own[name], parts, baselines, of_set)
    yield from ("", f"| choices of | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|")
    for source, made in cases.items():
        cells = []
        for name, of_set in cases.items():
            pairs = zip(of_set, made, strict=True)
            here = np.concatenate(own[name])
            if all(_same(case.chosen, one.chosen) for case, one in pairs):
                cells.append("same")
                continue
            pairs = zip(of_set, made, strict=True)
            reached = np.concatenate(
                [_ndcg(case.split, _fit(case, one.chosen).scores) for case, one in pairs]
            )
            error = here.std() / np.sqrt(len(here))
            cells.append(f"{(reached.mean() - here.mean()) / error:+.2f}")
        yield f"| {source} | {' | '.join(cells)} |"


def _same(one: Choices, other: Choices) -> bool:
    equal = np.array_equal(one.grades, other.grades) and np.array_equal(one.weights, other.weights)
    return equal and one.noise == other.noise


def _rated(ratings: Interactions) -> Interactions:
    """Only the items and users with ratings."""
    user = np.repeat(np.arange(ratings.n_users), np.diff(ratings.user_items.indptr))
    items = ratings.item_ids[ratings.user_items.indices]
    return Interactions.from_arrays(
        ratings.user_ids[user], items, ratings.user_items.data, ratings.timestamps
    )


def _case(ratings: Interactions, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    n_users = round(0.2 * ratings.n_users)
    split = splits.strong_generalization(ratings, n_test_users=n_users, rng=rng)
    blank = ItemFeatures.blank(split.train.item_ids)
    content = ContentEncoder.fit(blank, rng=rng).transform(blank)
    chosen = choices.choose(split.train, content, Config(), rng, lambda _stage, _fraction: None)
    return Case(split, content, popularity(split.train, blank.vote_count), chosen)


def _fit(case: Case, chosen: Choices) -> Blend:
    rng = np.random.default_rng(0)
    blend, *_ = fit_chosen(
        case.split.train, case.content, case.popularity, Config(), chosen, rng, lambda _stage, _fraction: None
    )
    return blend


def _parts(case: Case, blend: Blend) -> dict[str, Figures]:
    reached = {}
    for index, name in enumerate(PART_NAMES):
        weights = np.tile(np.eye(len(PART_NAMES), dtype=np.float32)[index], (len(blend.weights), 1))
        reached[name] = _ndcg(case.split, replace(blend, weights=weights).scores)
    return reached


def _baselines(case: Case) -> dict[str, Figures]:
    """NDCG@10 by user of each baseline with its best setting."""
    train, reached = case.split.train, {}
    counts = np.bincount(train.user_items.indices, minlength=train.n_items).astype(np.float32)

    def or_popular(scores: Scores) -> Scores:
        return lambda history: scores(history) if len(liked(history)) else counts

    for name, baseline in BASELINES.items():
        each = [_ndcg(case.split, or_popular(baseline.fit(train, **one))) for one in baseline.grid]
        reached[name] = max(each, key=lambda figures: float(figures.mean()))
    return reached


def _ndcg(split: Split, scores: Scores) -> Figures:
    values: list[float] = []
    for user in range(split.held_out.n_users):
        history, held = split.histories.history(user), split.held_out.history(user)
        relevant = held.item_idx[held.stars >= RELEVANT_STARS]
        if len(relevant) and len(history) and len(values) < MAX_USERS:
            values.append(_one(history, relevant, scores))
    return np.array(values)


def _one(history: History, relevant: NDArray[np.int32], scores: Scores) -> float:
    ranked = scores(history).copy()
    ranked[history.item_idx] = -np.inf
    hits = np.isin(top(ranked, DEPTH), relevant)[None]
    return float(metrics.ndcg(hits, np.array([len(relevant)]), DEPTH)[0])


def _row(
    name: str,
    own: list[Figures],
    parts: list[dict[str, Figures]],
    baselines: list[dict[str, Figures]],
    cases: list[Case],
) -> str:
    ours = np.concatenate(own)
    cells, differences = [], []
    for others in (parts, baselines):
        pooled = {one: np.concatenate([each[one] for each in others]) for one in others[0]}
        best = max(pooled, key=lambda one: float(pooled[one].mean()))
        gained = ours - pooled[best]
        cells.append(f"{best} {pooled[best].mean():.4f}")
        differences.append(f"{gained.mean():+.4f} ± {gained.std() / np.sqrt(len(gained)):.4f}")
    chosen = "; ".join(map(_described, cases))
    return f"| {name} | {ours.mean():.4f} | {' | '.join(cells)} | {'; '.join(differences)} | {chosen} |"


def _described(case: Case) -> str:
    chosen, usual = case.chosen, USUAL_WEIGHTS[-1]
    items, transitions = (chosen.weights[-1, part] / usual[part] for part in (ITEMS, TRANSITIONS))
    return f"{chosen.noise:g}, {chosen.grades[2]:.1f}, {items:.1f}, {transitions:.1f}"


if __name__ == "__main__":
    main()
