"""MovieLens latest-small with TMDB metadata, if both are beside the checkout."""

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.content import ContentEncoder

DATA = Path(__file__).parents[3] / "shared" / "data"


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _names(text: str) -> tuple[str, ...]:
    parsed: list[dict[str, Any]] = ast.literal_eval(text) if text else []
    return tuple(entry["name"] for entry in parsed)


def _collection(text: str) -> str:
    name = re.search(r"'name': '([^']*)'", text)
    return name[1] if name else ""


def _tmdb(folder: Path) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for row in _rows(folder / "movies_metadata.csv"):
        known[row["id"]] = dict(row)
    for row in _rows(folder / "keywords.csv"):
        if row["id"] in known:
            known[row["id"]]["keywords"] = _names(row["keywords"])
    for row in _rows(folder / "credits.csv"):
        if row["id"] in known:
            crew = ast.literal_eval(row["crew"])
            known[row["id"]]["cast"] = _names(row["cast"])
            known[row["id"]]["directors"] = tuple(c["name"] for c in crew if c["job"] == "Director")
    return known


def _items() -> ItemFeatures:
    tmdb = _tmdb(DATA / "tmdb")
    of = {row["movieId"]: tmdb.get(row["tmdbId"], {}) for row in _rows(DATA / "ml-latest-small/links.csv")}
    movies = sorted(_rows(DATA / "ml-latest-small/movies.csv"), key=lambda row: int(row["movieId"]))
    facts = [of[row["movieId"]] for row in movies]
    years = [re.search(r"\((\d{4})\)\s*$", row["title"]) for row in movies]

    def numbers(name: str) -> NDArray[np.float32]:
        return np.array([_number(fact.get(name, "")) for fact in facts], np.float32)

    return ItemFeatures(
        item_ids=np.array([int(row["movieId"]) for row in movies], np.int64),
        titles=[re.sub(r"\s*\(\d{4}\)\s*$", "", row["title"]) for row in movies],
        overviews=[fact.get("overview", "") for fact in facts],
        keywords=[fact.get("keywords", ()) for fact in facts],
        directors=[fact.get("directors", ()) for fact in facts],
        cast=[fact.get("cast", ()) for fact in facts],
        genres=[tuple(g for g in row["genres"].split("|") if g[0] != "(") for row in movies],
        languages=[fact.get("original_language", "") for fact in facts],
        years=np.array([int(year[1]) if year else 0 for year in years], np.int16),
        runtimes=numbers("runtime"),
        popularity=numbers("popularity"),
        vote_average=numbers("vote_average"),
        vote_count=numbers("vote_count"),
        collections=[_collection(fact.get("belongs_to_collection", "")) for fact in facts],
    )


@pytest.fixture(scope="session")
def latest_small() -> tuple[Interactions, ItemFeatures]:
    """The ratings of MovieLens latest-small, and its items."""
    if not (DATA / "ml-latest-small").exists() or not (DATA / "tmdb").exists():
        pytest.skip(f"MovieLens latest-small and TMDB are not at {DATA}")
    table = np.loadtxt(DATA / "ml-latest-small/ratings.csv", delimiter=",", skiprows=1)
    items = _items()
    user_ids, item_ids, timestamps = (table[:, column].astype(np.int64) for column in (0, 1, 3))
    stars = table[:, 2].astype(np.float32)
    interactions = Interactions.from_arrays(user_ids, item_ids, stars, timestamps, catalog=items.item_ids)
    return interactions, items


@pytest.fixture(scope="session")
def latest_small_content(latest_small: tuple[Interactions, ItemFeatures]) -> NDArray[np.float32]:
    """Content vectors of those items, narrower than a model's to keep the suite quick."""
    items = latest_small[1]
    return ContentEncoder.fit(items, width=48, rng=np.random.default_rng(0)).transform(items)
