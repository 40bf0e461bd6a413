"""Read JSON of other sites and programs: exports of Trakt and Simkl, responses of TMDB, Plex and Jellyfin.

Each item becomes a row with the column names of a layout.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from app.ingest.layouts import InvalidHistory, Layout, Source
from app.ingest.pieces import Steps
from app.ingest.rows import LONGEST_SHOWN, History, Order, Reader, Row, Skipped
from app.ingest.values import is_rated

MAX_ITEMS = 20_000
MAX_PARTS = 300_000  # values and names, since parsing is a single step
KNOWN = "Trakt (ratings, history, watched, watchlist), Simkl, TMDB (rated movies), Plex and Jellyfin (items)"

Item = Mapping[str, Any]
Values = dict[str, Any]

LAYOUT = Layout(
    marks=(),
    rated_at=("ratedat",),
    watched_at=("watchedat",),
    listed_at=("listedat",),
    state=("state",),
)
SCALES = {Source.TMDB, Source.PLEX, Source.JELLYFIN}  # finer than half-stars


@dataclass(frozen=True, slots=True)
class Items:
    source: Source
    values: Iterator[Values]


def read_json(text: str, order: Order, now: datetime) -> Steps[History]:
    """Read a JSON file, one item a step. A row's line is the number of its item. Raises InvalidHistory."""
    if sum(map(text.count, "{[,:")) > MAX_PARTS:
        raise InvalidHistory(f"The JSON has more than {MAX_PARTS} values: send it in parts.")
    yield
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise InvalidHistory(f"The text is neither CSV nor JSON: {str(error)[:100]}.") from None
    yield
    items = items_of(value)
    if items is None or order.source not in (None, items.source):
        raise InvalidHistory(f"The JSON is not a known export. Known exports: {KNOWN}. {found_in(value)}")
    layout = replace(LAYOUT, rounded=items.source in SCALES)
    # No columns: items that are only listed need `contents`, as in a CSV list.
    reader = Reader.of(layout, (), order, now)
    history = History(items.source)
    for number, values in enumerate(items.values, start=1):
        yield
        if number > MAX_ITEMS:
            raise InvalidHistory(f"The JSON has more than {MAX_ITEMS} items: send it in parts.")
        named = {name: plain_text(each) for name, each in values.items()}
        row: Row | str = "It is neither rated nor watched."
        if order.contents is not None or has_contents(named):
            row = reader.row(number, named)
        if isinstance(row, Row):
            history.rows.append(row)
        else:
            history.skipped.append(Skipped(number, named.get("title", "")[:LONGEST_SHOWN], row, order.file))
    return history


def has_contents(named: Mapping[str, str]) -> bool:
    """Whether an item has a rating or shows its contents."""
    return is_rated(named.get("rating", "")) or any(named.get(name) for name in ("state", "listedat"))


def plain_text(value: object) -> str:
    """A value as CSV text; '' for a value that is neither text nor a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return value if isinstance(value, str) else f"{value:.12g}" if isinstance(value, float) else str(value)


def items_of(value: Any) -> Items | None:
    """Detect the layout and read its items; None for an unknown layout."""
    match value:
        case [{"movie": {}} | {"show": {}} | {"episode": {}} | {"season": {}}, *_] as items:
            return Items(Source.TRAKT, map(trakt, objects(items)))
        case {"movies": list()} | {"shows": list()} | {"anime": list()}:
            lists = [value.get(name) or [] for name in ("movies", "shows", "anime")]
            items = [item for each in lists if isinstance(each, list) for item in each]
            return Items(Source.SIMKL, map(simkl, objects(items)))
        case {"MediaContainer": {"Metadata": list(items)}}:
            return Items(Source.PLEX, map(plex, objects(items)))
        case {"Items": list(items)}:
            return Items(Source.JELLYFIN, map(jellyfin, objects(items)))
        case {"results": [{"rating": _} | {"account_rating": _}, *_] as items}:
            return Items(Source.TMDB, map(tmdb, objects(items)))
    return None


def objects(items: Iterable[object]) -> Iterator[Item]:
    return (item if isinstance(item, dict) else {} for item in items)


def found_in(value: object) -> str:
    if isinstance(value, list):
        value = value[0] if value else None
    names = [str(name)[:40] for name in list(value)[:20]] if isinstance(value, dict) else []
    return f"Names found: {', '.join(names) or 'none'}."


def part(item: Item, *names: str) -> Item:
    """A nested object of an item; an empty one if it is missing."""
    for name in names:
        found = item.get(name)
        item = found if isinstance(found, dict) else {}
    return item


def ids_in(movie: Item) -> Values:
    ids = part(movie, "ids")
    return {
        "title": movie.get("title"),
        "year": movie.get("year"),
        "imdbid": ids.get("imdb"),
        "tmdbid": ids.get("tmdb"),
    }


def trakt(item: Item) -> Values:
    kind = next((name for name in ("episode", "season", "movie", "show") if name in item), "")
    values = {"type": item.get("type") or kind, "rating": item.get("rating"), "ratedat": item.get("rated_at")}
    values["watchedat"] = item.get("watched_at") or item.get("last_watched_at")
    values["listedat"] = item.get("listed_at")
    if values["watchedat"]:
        values["state"] = "watched"
    if values["type"] == "episode":
        return {
            **values,
            "title": part(item, "show").get("title"),
            "episodeimdbid": part(item, "episode", "ids").get("imdb"),
        }
    return {**values, **ids_in(part(item, kind or "movie"))}


def simkl(item: Item) -> Values:
    is_movie = "movie" in item or item.get("anime_type") == "movie"
    return {
        **ids_in(part(item, "movie" if "movie" in item else "show")),
        "type": "movie" if is_movie else "show",
        "rating": item.get("user_rating"),
        "ratedat": item.get("user_rated_at") or item.get("last_watched_at"),
        "watchedat": item.get("last_watched_at"),
        "listedat": item.get("added_to_watchlist_at"),
        "state": item.get("status"),
    }


def plex(item: Item) -> Values:
    guids: Any = item.get("Guid") if isinstance(item.get("Guid"), list) else []
    ids = dict(
        guid["id"].split("://", maxsplit=1)
        for guid in guids
        if isinstance(guid, dict) and isinstance(guid.get("id"), str) and guid["id"].count("://") == 1
    )
    return {
        "title": item.get("title"),
        "originaltitle": item.get("originalTitle"),
        "year": item.get("year"),
        "type": item.get("type"),
        "imdbid": ids.get("imdb"),
        "tmdbid": ids.get("tmdb"),
        "rating": item.get("userRating"),
        "ratedat": item.get("lastRatedAt"),
        "watchedat": item.get("lastViewedAt") or item.get("viewedAt"),
        "state": "watched" if item.get("viewCount") or item.get("viewedAt") else None,
    }


def jellyfin(item: Item) -> Values:
    data, ids = part(item, "UserData"), part(item, "ProviderIds")
    state = "liked" if data.get("IsFavorite") is True else "watched" if data.get("Played") is True else None
    return {
        "title": item.get("Name"),
        "originaltitle": item.get("OriginalTitle"),
        "year": item.get("ProductionYear"),
        "type": item.get("Type"),
        "imdbid": ids.get("Imdb"),
        "tmdbid": ids.get("Tmdb"),
        "rating": data.get("Rating"),
        "watchedat": data.get("LastPlayedDate"),
        "listedat": data.get("LastPlayedDate"),
        "state": state,
    }


def tmdb(item: Item) -> Values:
    return {
        "title": item.get("title") or item.get("name"),
        "originaltitle": item.get("original_title"),
        "year": item.get("release_date"),
        "type": "movie" if "title" in item else "tv",
        "tmdbid": item.get("id"),
        "rating": part(item, "account_rating").get("value") or item.get("rating"),
        "ratedat": part(item, "account_rating").get("created_at"),
    }
