import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recommender.content_taste import corrections
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model import artifact, explain
from recommender.model.artifact import ArtifactError
from recommender.model.hybrid import FEW_RATINGS, Hybrid
from recommender.model.match import MOST_PLACES, held_back
from recommender.training.config import Config
from recommender.training.train import train_hybrid
from recommender.traits import Traits
from tests.recommender.model.conftest import N_NEW, N_RATED, WESTERNS, _world


def _genre(item_idx: np.ndarray) -> np.ndarray:
    return np.asarray(item_idx) % 4


def test_the_list_follows_the_taste_of_the_history(model: Hybrid) -> None:
    for genre in range(4):
        found = _genre(model.recommend(History.of(np.arange(genre, 48, 4)), k=10).item_idx)
        assert found[0] == genre
        assert (found == genre).mean() >= 0.5


def test_one_rating_changes_the_very_next_list(model: Hybrid) -> None:
    before = model.recommend(WESTERNS, k=20)
    longer = History.of([*WESTERNS.item_idx, 2], [*WESTERNS.stars, 5])
    after = model.recommend(longer, k=20)
    assert before.item_idx.tolist() != after.item_idx.tolist()
    # A second horror item scores higher after the first one is liked.
    assert model.scores(longer)[6] > model.scores(WESTERNS)[6]


@pytest.mark.parametrize("diversity", [0.0, 0.4])
def test_lists_are_full_without_the_history_and_only_of_allowed_items(
    model: Hybrid, diversity: float
) -> None:
    rng = np.random.default_rng(1)
    for share in (0.02, 0.3, 1.0):
        allowed = rng.random(model.n_items) < share
        history = History.of(rng.permutation(model.n_items)[:30], rng.integers(1, 11, 30) / 2)
        left = np.setdiff1d(np.flatnonzero(allowed), history.item_idx)
        for k in (0, 1, 10, model.n_items, 10 * model.n_items):
            found = model.recommend(history, k=k, allowed=allowed, diversity=diversity).item_idx
            assert len(found) == len(set(found.tolist())) == min(k, len(left))
            assert np.isin(found, left).all()


@pytest.mark.parametrize("diversity", [0.0, 0.3])
@pytest.mark.parametrize("history", [WESTERNS, History.of([])])
def test_a_longer_list_begins_with_the_shorter_one(model: Hybrid, history: History, diversity: float) -> None:
    longest = model.recommend(history, k=100, diversity=diversity)
    for k in (1, 7, 24, 99):
        shorter = model.recommend(history, k=k, diversity=diversity)
        assert shorter.item_idx.tolist() == longest.item_idx[:k].tolist()
        assert shorter.scores.tolist() == longest.scores[:k].tolist()


def test_without_diversity_scores_descend(model: Hybrid) -> None:
    assert (np.diff(model.recommend(WESTERNS, k=50).scores) <= 0).all()


def test_unrated_items_have_factors_by_their_content(model: Hybrid) -> None:
    fresh = np.arange(model.n_items) >= N_RATED
    found = model.recommend(WESTERNS, k=N_NEW // 4, allowed=fresh).item_idx
    assert (_genre(found) == 3).all()


def test_without_history_the_most_rated_items_lead(
    model: Hybrid, world: tuple[Interactions, ItemFeatures]
) -> None:
    counts = np.bincount(world[0].user_items.indices, minlength=model.n_items)
    found = model.recommend(History.of([]), k=20).item_idx
    assert counts[found].min() >= np.sort(counts)[-30]
    assert (counts[model.recommend(History.of([]), k=model.n_items).item_idx[-N_NEW:]] == 0).all()


def test_favourite_genres_lead_the_list_of_a_newcomer(model: Hybrid) -> None:
    plain = _genre(model.recommend(History.of([]), k=12).item_idx)
    favoured = _genre(model.recommend(History.of([]), k=12, favorite_genres=["Horror"]).item_idx)
    assert (favoured == 2).sum() > (plain == 2).sum()
    assert (_genre(model.recommend(WESTERNS, k=5, favorite_genres=["Horror", "No such"]).item_idx) == 3).any()


def test_items_shown_in_vain_sink_but_not_at_diversity_0(model: Hybrid) -> None:
    first = model.recommend(WESTERNS, k=10, diversity=0.1).item_idx
    shown = np.zeros(model.n_items, np.float32)
    shown[first[:3]] = 50
    later = model.recommend(WESTERNS, k=10, diversity=0.1, shown=shown).item_idx
    assert not np.isin(first[:3], later[:3]).any()
    plain = [model.recommend(WESTERNS, k=10, shown=seen).item_idx.tolist() for seen in (None, shown)]
    assert plain[0] == plain[1]


def test_novelty_lists_items_that_fewer_know(model: Hybrid) -> None:
    def known(diversity: float, novelty: float) -> float:
        found = model.recommend(WESTERNS, k=10, diversity=diversity, novelty=novelty).item_idx
        return float(model.popularity[found].mean())

    assert known(0.1, 0.5) < known(0.1, 0)
    assert known(0, 0.5) == known(0, 0)


def test_neighbors_share_taste_and_content(model: Hybrid) -> None:
    item_idx, similarity = model.similar(3, k=8)
    assert (_genre(item_idx) == 3).all()
    assert (np.diff(similarity) <= 0).all()
    new_idx, _ = model.similar(N_RATED + 3, k=5)
    assert (_genre(new_idx) == 3).all()


def test_a_liked_genre_is_predicted_higher_than_another(model: Hybrid) -> None:
    predicted = model.predict(WESTERNS, np.array([67, 65], np.int32))
    assert predicted.stars[0] > predicted.stars[1]
    assert predicted.match_percent[0] > predicted.match_percent[1]
    assert (predicted.low < predicted.stars).all()
    assert (predicted.stars < predicted.high).all()


def test_a_model_of_no_ratings_lists_by_content() -> None:
    items = _world()[1]
    items.vote_count[:] = 1000 + np.arange(len(items))
    empty = Interactions.from_arrays([], [], [], catalog=items.item_ids)
    model = train_hybrid(empty, items)
    assert (_genre(model.recommend(History.of([3, 7]), k=5).item_idx) == 3).mean() > 0.5
    assert model.recommend(History.of([]), k=2).item_idx.tolist() == [len(items) - 1, len(items) - 2]
    assert np.isnan(model.predict(History.of([3]), np.array([1], np.int32)).stars).all()


def test_items_and_ratings_must_speak_of_the_same_items(world: tuple[Interactions, ItemFeatures]) -> None:
    with pytest.raises(ValueError, match="one by one"):
        train_hybrid(world[0], ItemFeatures.blank(np.array([1])))


def test_the_same_ratings_give_the_same_model_and_it_survives_the_disk(model: Hybrid, tmp_path: Path) -> None:
    train_hybrid(*_world(), Config(factors=16)).save(tmp_path / "v7")
    loaded = Hybrid.load(tmp_path / "v7")
    assert loaded.version == "v7"
    assert loaded.manifest["metrics"] == model.manifest["metrics"]
    ours, theirs = (one.recommend(WESTERNS, k=184, diversity=0.2) for one in (model, loaded))
    assert ours.item_idx.tobytes() == theirs.item_idx.tobytes()
    assert ours.scores.tobytes() == theirs.scores.tobytes()
    assert model.reasons(WESTERNS, ours.item_idx) == loaded.reasons(WESTERNS, ours.item_idx)
    predicted = [one.predict(WESTERNS, ours.item_idx).match_percent.tobytes() for one in (model, loaded)]
    assert predicted[0] == predicted[1]
    (tmp_path / "v7" / "blend.popularity.npy").unlink()
    with pytest.raises(ArtifactError, match="popularity"):
        Hybrid.load(tmp_path / "v7")


def test_keywords_of_a_model_of_a_former_release_are_selected_on_loading(
    model: Hybrid, tmp_path: Path
) -> None:
    model.save(tmp_path / "v1")
    arrays, manifest = artifact.read(tmp_path / "v1")
    former = Traits.of([("broom", "time travel", "twist ending")] * 9 + [()] * (model.n_items - 9))
    arrays |= {f"shared_keywords.{name}": array for name, array in former.arrays().items()}
    artifact.write(tmp_path / "v2", arrays, {k: v for k, v in manifest.items() if k != "keywords_selected"})
    assert Hybrid.load(tmp_path / "v2").traits[explain.SHARED_KEYWORDS].names == ["time travel"]


SERVE = """
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
import numpy as np
from recommender.model.hybrid import FEW_RATINGS, Hybrid
from recommender.interactions import History
model = Hybrid.load(Path(sys.argv[1]))
history = History.of([3, 7])
found = model.recommend(history, k=5, diversity=.2).item_idx
model.predict(history, found), model.reasons(history, found), model.similar(3, k=3)
assert not {"numba", "llvmlite", "sklearn"} & set(sys.modules), sorted(sys.modules)
"""


def test_serving_imports_neither_compiler_nor_trainer(model: Hybrid, tmp_path: Path) -> None:
    model.save(tmp_path / "v1")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", SERVE, str(tmp_path / "v1")], check=True, env=environment)


FOREIGN: list[tuple[str, Callable[[np.ndarray], np.ndarray]]] = [
    ("encoder.vocabulary", lambda _: np.frombuffer(b"\xff\xfe\x80", np.uint8)),
    ("factors.item_factors", lambda array: array[:5]),
    ("hybrid.content", lambda array: array[:5]),
    ("hybrid.item_ids", lambda array: array[:5]),
]


@pytest.mark.parametrize(("name", "changed"), FOREIGN)
def test_parts_that_do_not_fit_together_are_no_model(
    model: Hybrid, tmp_path: Path, name: str, changed: Callable[[np.ndarray], np.ndarray]
) -> None:
    model.save(tmp_path / "v1")
    arrays, manifest = artifact.read(tmp_path / "v1")
    assert name in arrays
    artifact.write(tmp_path / "v2", {**arrays, name: changed(arrays[name])}, manifest)
    with pytest.raises(ArtifactError, match="v2"):
        Hybrid.load(tmp_path / "v2")


def test_items_of_a_low_match_are_held_back_by_a_bounded_number_of_places() -> None:
    percents = np.full(20, 80, np.float32)
    percents[[0, 2, 5]] = 40, np.nan, 49
    assert held_back(percents).tolist() == [1, 2, 3, 4, 0, *range(6, 20), 5]
    percents = np.full(200, 80, np.float32)
    percents[50] = 0
    assert held_back(percents).tolist().index(50) == 50 + MOST_PLACES - 1
    assert held_back(np.full(9, 30, np.float32)).tolist() == list(range(9))  # a member who rates harshly


def test_the_list_is_ordered_by_corrected_scores_with_low_matches_held_back(model: Hybrid) -> None:
    scores = model.scores(WESTERNS)
    scores[WESTERNS.item_idx] = -np.inf
    best = np.argsort(-scores, kind="stable")[: model.n_items - len(WESTERNS)][:300]
    weight = model.blend.at(len(WESTERNS)).sum()
    corrected = scores[best] + weight * corrections(model.content_vectors, WESTERNS, best.astype(np.int32))
    best = best[np.argsort(-corrected, kind="stable")]
    percents = model.predict(WESTERNS, best.astype(np.int32)).match_percent
    assert model.item_step is not None
    percents[model.item_step.seen(best) < FEW_RATINGS] = np.nan
    ranking = model.recommend(WESTERNS, k=40)
    assert ranking.item_idx.tolist() == best[held_back(percents)][:40].tolist()
    assert (np.diff(ranking.scores) <= 0).all()
