"""The inputs of a list as bytes: histories, masks, trends, steering, the catalog of a home page.

Equal inputs have equal bytes, so that each is stored once. A part of a large one that stays the same is
stored once too: the movies are in parts of MOVIES_IN_PART, each genre is a part of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.recommendations.history import UserHistory
from app.recommendations.shelves import Shelving
from app.recommendations.steering.steer import UNSTEERED, Steering
from app.serving.cards import GenreRow
from app.serving.model import Model
from app.serving.snapshot import Snapshot, built

HISTORY, MASK, TRENDS, MOVIES, GENRE = "history", "mask", "trends", "movies", "genre"
PROMOTIONS, WISHES = "promotions", "wishes"
MOVIES_IN_PART = 4096

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Input:
    """A part of what lists were computed from: its kind, some values, and arrays by name."""

    kind: str
    values: dict[str, Any]
    arrays: Arrays

    def packed(self) -> bytes:
        """A line of JSON with the values and the types of the arrays, then the arrays."""
        types = [[name, array.dtype.str, array.size] for name, array in self.arrays.items()]
        header = orjson.dumps([self.kind, self.values, types])
        return header + b"\n" + b"".join(array.tobytes() for array in self.arrays.values())

    @classmethod
    def unpacked(cls, content: bytes) -> "Input":
        header, _, rest = content.partition(b"\n")
        kind, values, types = orjson.loads(header)
        arrays, start = {}, 0
        for name, of_type, size in types:
            arrays[name] = np.frombuffer(rest, of_type, size, start).copy()
            start += arrays[name].nbytes
        return cls(kind, values, arrays)


def of_history(user: UserHistory, shelving: Shelving | None = None) -> Input:
    """A member's history; for a home page also what else is the member's own."""
    values: dict[str, Any] = {"favoriteGenres": user.favorite_genres, "rated": user.rated}
    arrays: Arrays = {
        "movie_ids": user.movie_ids,
        "stars": user.stars,
        "timestamps": user.timestamps,
        "hidden": user.hidden,
    }
    if user.preferences:
        values["preferences"] = [[each.direction, each.subject.columns()] for each in user.preferences]
    if user.shown is not None:
        arrays["shown_ids"], arrays["shown_times"] = user.shown
    if shelving is not None:
        values["lately"] = sorted(shelving.lately)
        values["genres"] = shelving.genres_in_order
    return Input(HISTORY, values, arrays)


def history_in(of: Input) -> UserHistory:
    arrays = of.arrays
    shown = (arrays["shown_ids"], arrays["shown_times"]) if "shown_ids" in arrays else None
    return UserHistory(
        arrays["movie_ids"],
        arrays["stars"],
        arrays["timestamps"],
        arrays["hidden"],
        tuple(of.values["favoriteGenres"]),
        of.values["rated"],
        shown,
    )


def of_mask(mask: NDArray[np.bool_]) -> Input:
    """The items that pass a filter, bool (n_items,)."""
    return Input(MASK, {"size": mask.size}, {"bits": bits_of(mask)})


def mask_in(of: Input) -> NDArray[np.bool_]:
    return mask_of(of.arrays["bits"], of.values["size"])


def of_promotions(steering: Steering) -> Input:
    """The pins and boosts of a list."""
    arrays: Arrays = {f"pin {place}": pin for place, pin in enumerate(steering.pins)}
    if steering.boosts is not None:
        arrays["boosts"] = np.trim_zeros(steering.boosts, "b")
    return Input(PROMOTIONS, {"pins": len(steering.pins)}, arrays)


def of_wishes(wishes: NDArray[np.float32]) -> Input:
    """The scores that a member's preferences add to those of a list, float32 (n_items,)."""
    return Input(WISHES, {}, {"wishes": np.trim_zeros(wishes, "b")})


def of_steering(steering: Steering) -> Iterator[Input]:
    """Only what there is, so that lists without promotions and preferences need no more space."""
    if steering.pins or steering.boosts is not None:
        yield of_promotions(steering)
    if steering.wishes is not None:
        yield of_wishes(steering.wishes)


def steerings_in(inputs: Sequence[Input], n_items: int) -> list[Steering]:
    """The steering of each history, in their order. The wishes of a history follow it."""
    promotions = next((of for of in inputs if of.kind == PROMOTIONS), None)
    common = UNSTEERED
    if promotions is not None:
        arrays = promotions.arrays
        boosts = filled(arrays["boosts"], n_items) if "boosts" in arrays else None
        pins = tuple(arrays[f"pin {place}"] for place in range(promotions.values["pins"]))
        common = Steering(boosts, None, pins)
    found: list[Steering] = []
    for of in inputs:
        if of.kind == HISTORY:
            found.append(common)
        elif of.kind == WISHES:
            found[-1] = replace(common, wishes=filled(of.arrays["wishes"], n_items))
    return found


def filled(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The values, and zeros after them, float32 (size,)."""
    return np.pad(values, (0, size - values.size))


def of_trends(trends: tuple[NDArray[np.int64], NDArray[np.float64]]) -> Input:
    return Input(TRENDS, {}, {"movie_ids": trends[0], "trends": trends[1]})


def of_catalog(snapshot: Snapshot) -> Iterator[Input]:
    """The movies, their release days and their genres: what shelves need of the catalog."""
    for start in range(0, snapshot.movie_ids.size, MOVIES_IN_PART):
        part = slice(start, start + MOVIES_IN_PART)
        arrays: Arrays = {"ids": snapshot.movie_ids[part], "days": snapshot.facts.release_days[part]}
        if (hidden := snapshot.facts.hidden[part]).any():
            arrays["hidden"] = bits_of(hidden)
        yield Input(MOVIES, {}, arrays)
    for genre, has_genre in zip(snapshot.genres, snapshot.facts.has_genre, strict=True):
        yield Input(GENRE, {"id": genre.id, "name": genre.name}, {"bits": bits_of(has_genre)})


def catalog_in(inputs: Sequence[Input]) -> Snapshot:
    """A snapshot of the movies alone: without cards, counts, titles and people."""
    empty = built(0, datetime.min.replace(tzinfo=UTC), {}, {}, [])
    movies = [of.arrays for of in inputs if of.kind == MOVIES]
    genres = [of for of in inputs if of.kind == GENRE]
    ids = np.concatenate([np.empty(0, np.int64), *(part["ids"] for part in movies)])
    days = np.concatenate([np.empty(0, np.float64), *(part["days"] for part in movies)])
    no_bits = np.empty(0, np.uint8)
    hidden = [mask_of(part.get("hidden", no_bits), part["ids"].size) for part in movies]
    has_genre = np.array([mask_of(of.arrays["bits"], ids.size) for of in genres], np.bool_)
    facts = replace(
        empty.facts,
        release_days=days,
        has_genre=has_genre.reshape(len(genres), ids.size),
        hidden=np.concatenate([np.empty(0, np.bool_), *hidden]),
    )
    return replace(
        empty,
        movie_ids=ids,
        cards=[None] * ids.size,  # type: ignore[list-item] # shelves only count them
        genres=tuple(GenreRow(of.values["id"], of.values["name"], 0) for of in genres),
        facts=facts,
    )


def shelving_in(inputs: Sequence[Input], model: Model, now: datetime, diversity: float = 0.0) -> Shelving:
    """The makings of the shelves of a home page at `now`."""
    catalog = catalog_in(inputs)
    history = next(of for of in inputs if of.kind == HISTORY)
    trends = next(of for of in inputs if of.kind == TRENDS).arrays
    (steering,) = steerings_in(inputs, model.hybrid.n_items)
    return Shelving(
        catalog,
        model.aligned(catalog),
        history_in(history),
        now,
        (trends["movie_ids"], trends["trends"]),
        frozenset(history.values["lately"]),
        tuple(history.values["genres"]),
        steering,
        diversity,
    )


def bits_of(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Eight values a byte, without zeros at the end, so that a new movie of another genre changes none."""
    return np.trim_zeros(np.packbits(mask), "b")


def mask_of(bits: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    found = np.unpackbits(bits, count=min(size, bits.size * 8))
    mask[: found.size] = found
    return mask
