"""Titles as sources write them, and when two of them are the same."""

import re
import unicodedata

_ARTICLES = (
    "The", "A", "An", "Le", "La", "Les", "Un", "Une", "El", "Los", "Las", "Il", "Lo", "Gli", "I",
    "Der", "Die", "Das", "Ein", "Eine", "Den", "Det", "De", "Het", "O", "Os", "As",
)  # fmt: skip
_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-\N{EN DASH}]\s*(?:\d{4})?)?\)\s*$")
_PARENTHESES = re.compile(r"\s+\(([^()]*)\)\s*$")
_TRAILING_ARTICLE = re.compile(rf"^(.*), ({'|'.join(_ARTICLES)}|L')$")
_AKA = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)


def parse_title(text: str) -> tuple[str, str | None, int | None]:
    """Title, other title and year of a MovieLens title.

    "City of Lost Children, The (Cité des enfants perdus, La) (1995)" is "The City of Lost Children",
    "La Cité des enfants perdus", 1995. Of several other titles the last is told, of "a.k.a." ones none.
    """
    rest = text.strip()
    year = None
    if match := _YEAR.search(rest):
        year, rest = int(match[1]), rest[: match.start()]
    other = None
    while (match := _PARENTHESES.search(rest)) and match.start() > 0:
        if rest[: match.start()].casefold().endswith(" or"):
            break  # Birdman or (The Unexpected Virtue of Ignorance)
        if other is None and not _AKA.match(match[1]):
            other = _article_first(match[1].strip()) or None
        rest = rest[: match.start()]
    return _article_first(rest.strip()) or text.strip(), other, year


def fold(title: str) -> str:
    """The title without case, accents and punctuation, for comparing."""
    plain = unicodedata.normalize("NFKD", title).casefold()
    return re.sub(r"[\W_]+", " ", "".join(c for c in plain if not unicodedata.combining(c))).strip()


def _article_first(title: str) -> str:
    if match := _TRAILING_ARTICLE.match(title):
        return f"{match[2]}{'' if match[2].endswith(chr(39)) else ' '}{match[1]}"
    return title
