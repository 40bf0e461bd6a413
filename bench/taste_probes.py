"""Lists of invented members whose taste is known: what must and what must not be among the first 24 movies.

    python -m bench.taste_probes [--data FOLDER] [--json FILE] [--page FILE] [--lists]

FOLDER holds ml-latest-small and tmdb; by default ../shared/data. The members are in taste_probes.toml.
"""

import argparse
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.offline.training import read_data
from bench.figures import ROOT, Figure, commit, hardware, write
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.training.train import train_hybrid

FILE = Path(__file__).with_suffix(".toml")
LENGTH = 24
DISLIKED = 2.5  # stars, at most
HEAD = 0.5  # of the ratings are of the movies of the head; the others are the long tail
FOUND, SHOWN = 0.7, 0.02  # targets: at least, at most
ARTICLE = re.compile(r"(.*), (the|a|an|la|le|il|les|das|der|die|l')$")
TITLE = re.compile(r"(.*) \((\d{4})\)$")


@dataclass(frozen=True, slots=True)
class Probe:
    """A member: a history, and items that must and must not be in the list."""

    name: str
    about: str
    history: History
    must: NDArray[np.int32]
    must_not: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The list of a probe and its figures.

    found: share of the items that must be there. shown: share of the list that must not be there. known,
    rated: geometric mean of the ratings of the listed and of the liked items. tail: share of the list in the
    long tail. moved: share of the list that is not there without the disliked items in the history.
    """

    probe: Probe
    listed: NDArray[np.int32]
    found: float
    shown: float
    known: float
    rated: float
    tail: float
    moved: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="the data sets")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    parser.add_argument("--lists", action="store_true", help="print the lists too")
    options = parser.parse_args()
    files = options.data / "ml-latest-small", [options.data / "tmdb"]
    data = read_data(*files, lambda _stage, _fraction: None)
    model = train_hybrid(data.interactions, data.movies)
    outcomes = measure(model, data.interactions, data.movies)
    found = list(figures(outcomes))
    for figure in found:
        print(f"{figure.key}: {figure.value:.4f}")  # noqa: T201 - it is a command
    for outcome in outcomes if options.lists else ():
        titles = [named(data.movies, item) for item in outcome.listed.tolist()]
        print(f"\n{outcome.probe.about}\n  " + "\n  ".join(titles))  # noqa: T201
    if options.json:
        write(options.json, "ml-latest-small, tmdb", found)
    if options.page:
        options.page.write_text(page(outcomes, found, data.movies), encoding="utf-8")


def measure(model: Hybrid, interactions: Interactions, movies: ItemFeatures) -> list[Outcome]:
    counts = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    order = np.argsort(-counts, kind="stable")
    tail = np.ones(counts.size, bool)
    tail[order[: np.searchsorted(counts[order].cumsum(), HEAD * counts.sum())]] = False
    return [_outcome(model, probe, counts, tail) for probe in read_probes(movies)]


def _outcome(model: Hybrid, probe: Probe, counts: NDArray[np.intp], tail: NDArray[np.bool_]) -> Outcome:
    history = probe.history
    listed = model.recommend(history, k=LENGTH).item_idx
    liked = history.stars > DISLIKED
    rest = History(history.item_idx[liked], history.stars[liked], history.timestamps[liked])
    without = model.recommend(rest, k=LENGTH + len(history)).item_idx
    without = without[~np.isin(without, history.item_idx)][:LENGTH]
    return Outcome(
        probe,
        listed,
        found=float(np.isin(probe.must, listed).mean()),
        shown=float(np.isin(listed, probe.must_not).mean()),
        known=float(np.expm1(np.log1p(counts[listed]).mean())),
        rated=float(np.expm1(np.log1p(counts[rest.item_idx]).mean())),
        tail=float(tail[listed].mean()),
        moved=float((~np.isin(listed, without)).mean()),
    )


def figures(outcomes: list[Outcome]) -> Iterator[Figure]:
    """Means over the probes."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(outcome, name) for outcome in outcomes]))

    yield Figure("must appear, found", mean("found"), target=FOUND)
    yield Figure("must not appear, shown", mean("shown"), target=SHOWN, at_most=True)
    yield Figure("ratings of a listed movie", mean("known"))
    yield Figure("ratings of a liked movie", mean("rated"))
    yield Figure("long tail", mean("tail"))
    yield Figure("moved by dislikes", mean("moved"))


def read_probes(movies: ItemFeatures, file: Path = FILE) -> list[Probe]:
    """Read the members. Raises KeyError for a title that is not in the catalog."""
    places = _places(movies)
    probes = []
    for name, fields in tomllib.loads(file.read_text(encoding="utf-8")).items():
        stars, titles = zip(*(rating.split(" ", 1) for rating in fields["ratings"]), strict=True)
        history = History.of([_place(places, title) for title in titles], np.array(stars, np.float32))
        wanted = (np.array([_place(places, title) for title in fields[of]]) for of in ("must", "must_not"))
        probes.append(Probe(name, fields["about"], history, *wanted))
    return probes


def named(movies: ItemFeatures, item: int) -> str:
    return f"{movies.titles[item]} ({movies.years[item]})"


def page(outcomes: list[Outcome], found: list[Figure], movies: ItemFeatures) -> str:
    """Markdown: the figures, then the figures and the list of each probe."""
    lines = [
        "# Taste probes",
        "",
        "Written by `python -m bench.taste_probes --page docs/bench/taste_probes.md` at commit",
        f"`{commit()}`, {datetime.now(UTC):%Y-%m-%d}, on {hardware()}.",
        "",
        "Twenty invented members rated ten movies each (`bench/taste_probes.toml`). The model is trained on",
        "MovieLens latest-small with TMDB's metadata. A list has 24 movies, without diversity. The long tail",
        "are the movies beyond those with the first half of all ratings. Dislikes are ratings up to 2.5",
        "stars; a movie is moved by them if it is not in the list without them. The columns of listed and",
        "liked movies are the geometric means of their ratings.",
        "",
        "| figure, mean over the members | value | target |",
        "|---|---|---|",
    ]
    for figure in found:
        bound = "" if figure.target is None else f"{'≤' if figure.at_most else '≥'} {figure.target:g}"
        lines.append(f"| {figure.key} | {figure.value:.3f} | {bound} |")
    lines += ["", "| member | found | shown | listed movie | liked movie | long tail | moved |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in outcomes:
        cells = f"{one.known:.0f} | {one.rated:.0f} | {one.tail:.2f} | {one.moved:.2f}"
        lines.append(f"| {one.probe.about} | {one.found:.2f} | {one.shown:.2f} | {cells} |")
    for one in outcomes:
        titles = ", ".join(named(movies, item) for item in one.listed[:12].tolist())
        lines += ["", f"**{one.probe.about.capitalize()}**: {titles}."]
    return "\n".join(lines) + "\n"


def _places(movies: ItemFeatures) -> dict[tuple[str, int], int]:
    """Items by title and year, also by the other titles in parentheses."""
    places: dict[tuple[str, int], int] = {}
    for item, title in enumerate(movies.titles):
        for one in (title, re.sub(r"\s*\([^()]*\)", "", title), *re.findall(r"\(([^()]*)\)", title)):
            places.setdefault((_plain(one.removeprefix("a.k.a. ")), int(movies.years[item])), item)
    return places


def _place(places: dict[tuple[str, int], int], text: str) -> int:
    for match in filter(None, map(TITLE.match, text.split(" | "))):
        for year in (int(match[2]), int(match[2]) + 1, int(match[2]) - 1):
            if (item := places.get((_plain(match[1]), year))) is not None:
                return item
    raise KeyError(f"{text} is not in the catalog")


def _plain(title: str) -> str:
    """A title without case, accents and punctuation, its article first."""
    text = unicodedata.normalize("NFKD", title.casefold().strip())
    if match := ARTICLE.match(text):
        text = f"{match[2]} {match[1]}"
    return " ".join(re.findall(r"\w+", "".join(c for c in text if not unicodedata.combining(c))))


if __name__ == "__main__":
    main()
