"""Lower bounds of quality on real ratings, between the measured values and those of a broken model."""

import numpy as np
import pytest

from bench import taste_probes
from recommender import metrics, splits
from recommender.evaluation.ranking import popularity_ranker
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.content_prior import ContentPrior
from recommender.model.fold_in import graded
from recommender.model.hybrid import Hybrid
from recommender.model.nearest import top
from recommender.splits import Split
from recommender.training.config import Config
from recommender.training.train import train_hybrid

pytestmark = pytest.mark.long  # one worker trains the model

World = tuple[Split, Hybrid]


@pytest.fixture(scope="module")
def world(latest_small: tuple[Interactions, ItemFeatures]) -> World:
    interactions, items = latest_small
    split = splits.temporal_per_user(interactions, rng=np.random.default_rng(0))
    return split, train_hybrid(split.train, items, Config(factors=48, iterations=6))


def _ndcg(world: World, diversity: float | None) -> np.ndarray:
    split, model = world
    popular = popularity_ranker(split.train)
    values = []
    for user in range(0, split.train.n_users, 2):
        history, held = split.histories.history(user), split.held_out.history(user)
        relevant = held.item_idx[held.stars >= 4]
        if not len(relevant):
            continue
        if diversity is None:
            shown = popular(history, 10)
        else:
            shown = model.recommend(history, k=10, diversity=diversity).item_idx
        hits = np.isin(shown, relevant)[None, :]
        values.append(metrics.ndcg(hits, np.array([len(relevant)]), 10)[0])
    return np.array(values)


def test_lists_are_far_better_than_popularity(world: World) -> None:
    ours, popular = _ndcg(world, 0.0), _ndcg(world, None)
    assert ours.mean() > 0.1
    assert ours.mean() > 1.35 * popular.mean()
    assert metrics.bootstrap(ours - popular, np.random.default_rng(0)).low > 0


def test_lists_of_a_known_taste_have_what_it_must_have(
    latest_small: tuple[Interactions, ItemFeatures], world: World
) -> None:
    """Twenty members of ten ratings; the model is smaller and knows fewer ratings than the benchmark's."""
    outcomes = taste_probes.measure(world[1], world[0].train, latest_small[1])
    figures = {figure.key: figure.value for figure in taste_probes.figures(outcomes)}
    assert len(outcomes) == 20
    assert figures["must appear, found"] > 0.6
    assert figures["must not appear, shown"] < 0.02
    assert figures["long tail"] > 0.2


def test_a_little_diversity_costs_little(world: World) -> None:
    assert _ndcg(world, 0.2).mean() > 0.97 * _ndcg(world, 0.0).mean()


def test_few_of_the_first_items_have_a_low_match(world: World) -> None:
    split, model = world
    low: list[bool] = []
    unheld: list[bool] = []
    for user in range(0, split.train.n_users, 6):
        history = split.histories.history(user)
        best = top(model.scores(history), 20 + len(history))
        best = best[~np.isin(best, history.item_idx)][:20]
        for shown, into in ((model.recommend(history, k=20).item_idx, low), (best, unheld)):
            into.extend(np.rint(model.predict(history, shown).match_percent) < 50)
    assert np.mean(low) < 0.13
    assert np.mean(low) < 0.6 * np.mean(unheld)


def test_the_item_that_a_reason_names_moved_the_score(world: World) -> None:
    split, model = world
    rng = np.random.default_rng(6)
    more = []
    for user in range(0, split.train.n_users, 12):
        history = split.histories.history(user)
        shown = model.recommend(history, k=8).item_idx
        whole = model.scores(history)[shown]
        for place, reasons in enumerate(model.reasons(history, shown, limit=1)):
            if not reasons or reasons[0].item_idx is None:
                continue
            other = rng.choice(history.item_idx[history.item_idx != reasons[0].item_idx])
            rest = [history.item_idx != item for item in (reasons[0].item_idx, other)]
            named, random = (
                whole[place]
                - model.scores(
                    History(history.item_idx[keep], history.stars[keep], history.timestamps[keep])
                )[shown[place]]
                for keep in rest
            )
            more.append(named > random)
    assert len(more) > 300
    assert np.mean(more) >= 0.95


def test_the_content_prior_ranks_new_items(
    latest_small: tuple[Interactions, ItemFeatures], world: World
) -> None:
    """Items with hidden ratings are ranked among themselves by the content prior."""
    model = world[1]
    interactions = latest_small[0]
    counts = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    content = model.encoder.transform(latest_small[1])
    rng = np.random.default_rng(4)
    hidden = np.sort(rng.permutation(np.flatnonzero(counts >= 10))[:200])
    rest = np.setdiff1d(np.flatnonzero(counts), hidden)
    placed = ContentPrior.fit(content[rest], model.factor_model.item_factors[rest], counts[rest]).factors(
        content[hidden]
    )
    wins = []
    for user in range(interactions.n_users):
        history = interactions.history(user)
        targets = np.zeros(interactions.n_items)
        targets[history.item_idx] = graded(history.stars)
        seen = targets[hidden] > 0
        if seen.sum() < 3:
            continue
        keep = ~np.isin(history.item_idx, hidden)
        known = type(history)(history.item_idx[keep], history.stars[keep], history.timestamps[keep])
        scores = placed @ model.factor_model.user_factors(known)
        wins.append(metrics.auc(seen, scores))
    assert np.mean(wins) > 0.84
