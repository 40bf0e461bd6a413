"""Parse what TMDB's API appends to a movie: videos, release dates and translations.

Files made from the API hold them as columns of the same names, with or without the object around the list.
"""

import re
from collections.abc import Iterator
from typing import Any

from seeds.files import cells
from seeds.files.nested_json import nested

MAX_TITLE = 500
MAX_LANGUAGES = 60
MAX_CERTIFICATION = 20
COUNTRY = "US"  # whose certification is read: those of other countries mean other ages
PAGES = {"YouTube": "https://www.youtube.com/watch?v=", "Vimeo": "https://vimeo.com/"}
VIDEO_KEY = re.compile(r"[\w-]{1,40}")


def trailer_url(text: str) -> str | None:
    """The address of a trailer: an official one before others, the first of these. Raises ValueError."""
    found = [
        (not entry.get("official"), PAGES[entry["site"]] + key)
        for entry in entries(text, "results")
        if entry.get("type") == "Trailer"
        and entry.get("site") in PAGES
        and VIDEO_KEY.fullmatch(key := str(entry.get("key") or ""))
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def certification(text: str) -> str | None:
    """The first certification of COUNTRY, which may also stand alone. Raises ValueError."""
    if text[:1] not in ("[", "{"):
        return short(text)
    for country in entries(text, "results"):
        if country.get("iso_3166_1") == COUNTRY:
            for released in country.get("release_dates") or ():
                if isinstance(released, dict) and (found := released.get("certification")):
                    return short(str(found))
    return None


def short(text: str) -> str:
    plain = cells.one_line(text)
    if len(plain) > MAX_CERTIFICATION:
        raise ValueError(cells.TOO_LONG)
    return plain


def localized_titles(text: str) -> tuple[tuple[str, str], ...]:
    """Languages (ISO 639-1) and the title in each, sorted; the first of a language. Raises ValueError."""
    titles: dict[str, str] = {}
    for entry in entries(text, "translations"):
        language, data = entry.get("iso_639_1"), entry.get("data")
        if not isinstance(data, dict) or not re.fullmatch("[a-z]{2}", str(language)):
            continue
        title = cells.one_line(str(data.get("title") or "")[: 2 * MAX_TITLE])
        if 0 < len(title) <= MAX_TITLE and len(titles) < MAX_LANGUAGES:
            titles.setdefault(str(language), title)
    return tuple(sorted(titles.items()))


def entries(text: str, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list, or of the list `name` of an object."""
    for entry in nested(text):
        inside = entry.get(name)
        if isinstance(inside, list):
            yield from (each for each in inside if isinstance(each, dict))
        else:
            yield entry
