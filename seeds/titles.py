"""Parse the titles of sources, and fold titles to compare them.

At most MAX_TITLE characters of a title are read, because Unicode normalization takes quadratic time on
combining marks.
"""

import re
import unicodedata

MAX_TITLE = 500

_ARTICLES = (
    "The", "A", "An", "Le", "La", "Les", "Un", "Une", "El", "Los", "Las", "Il", "Lo", "Gli", "I",
    "Der", "Die", "Das", "Ein", "Eine", "Den", "Det", "De", "Het", "O", "Os", "As",
)  # fmt: skip
_FOLDED_ARTICLES = {article.casefold() for article in (*_ARTICLES, "L'")}
_YEARS = re.compile(r"(\d{4})(?:\s*[-\N{EN DASH}]\s*(?:\d{4})?)?")
_AKA = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)

# Letters that Unicode does not decompose.
_LETTERS = str.maketrans({
    "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t",
})  # fmt: skip
_APOSTROPHES = re.compile("[’‘‛`´ʻʼʹ′＇]")
_FRACTION = re.compile("(?<=\\w)(?=[¼-¾⅐-⅞])")  # 8½ is 8 1/2, not 81/2
_EXPONENT = re.compile("(?<=[^\\W\\d])(?=[⁰¹²³⁴-⁹])")  # Alien³ is Alien 3
_INITIALS = re.compile(r"(?<!\w)(?:\w[.*]){1,20}\w?(?!\w)")  # E.T., M*A*S*H
_AND = re.compile(r"[&＆+]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SEPARATORS = re.compile(r"[\W_]+")


def parse_title(text: str) -> tuple[str, str | None, int | None]:
    """Parse a MovieLens title: title, original title and year.

    "City of Lost Children, The (Cité des enfants perdus, La) (1995)" is "The City of Lost Children",
    "La Cité des enfants perdus", 1995. The last title in parentheses that is not an "a.k.a." is the original
    one; `titles_in` returns all of them.
    """
    title, others, year = _parts(text)
    return title, next((name for name, is_aka in others if not is_aka), None), year


def titles_in(text: str) -> tuple[str, ...]:
    """All titles in a MovieLens title: the main one, those in parentheses, and each "a.k.a."."""
    title, others, _ = _parts(text)
    return tuple(dict.fromkeys([title, *(name for name, _ in reversed(others))]))


def fold_case(text: str) -> str:
    """Remove case and accents: "Amélie" becomes "amelie"."""
    if text.isascii():
        return text[:MAX_TITLE].casefold()
    decomposed = unicodedata.normalize("NFKD", text[:MAX_TITLE].casefold().translate(_LETTERS))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def fold(title: str) -> str:
    """Normalize a title for comparison: words between single spaces, without case, accents and punctuation.

    An article at the end is moved to the front, and `&` or `+` becomes `and`: "Matrix, The" becomes
    "the matrix". A title without its article, or with other numerals, remains different.
    """
    text = _article_first(title[:MAX_TITLE].strip())
    if not text.isascii():
        text = _EXPONENT.sub(" ", _FRACTION.sub(" ", _APOSTROPHES.sub("'", text)))
    text = _THOUSANDS.sub("", text)
    text = _INITIALS.sub(lambda match: re.sub("[.*]", "", match[0]), fold_case(text).replace("'", ""))
    return _SEPARATORS.sub(" ", _AND.sub(" and ", text)).strip()


def _parts(text: str) -> tuple[str, list[tuple[str, bool]], int | None]:
    """Split a MovieLens title into title, titles in parentheses and year.

    The titles in parentheses are in reverse order, each with whether it is an "a.k.a.".
    """
    rest = text.strip()
    if len(rest) > MAX_TITLE:
        return rest, [], None
    year = None
    before, inside = _last_parentheses(rest)
    if match := _YEARS.fullmatch(inside):
        year, rest = int(match[1]), before.rstrip()
    others: list[tuple[str, bool]] = []
    while True:
        before, inside = _last_parentheses(rest)
        if not before.strip() or not before[-1].isspace():
            break  # Frontière(s)
        if before[-4:].strip().casefold() == "or" and not before[-4:-3].isalnum():
            break  # Birdman or (The Unexpected Virtue of Ignorance)
        if other := _article_first(_AKA.sub("", inside.strip())):
            others.append((other, bool(_AKA.match(inside.strip()))))
        rest = before.rstrip()
    return _article_first(rest.strip()) or text.strip(), others, year


def _last_parentheses(text: str) -> tuple[str, str]:
    """Split off the parentheses at the end of a text: the text before and in them; "" if there are none."""
    at = text.rfind("(")
    if at < 0 or not text.endswith(")") or ")" in text[at:-1]:
        return "", ""
    return text[:at], text[at + 1 : -1]


def _article_first(title: str) -> str:
    """Move an article behind the last comma to the front."""
    rest, comma, article = title.rpartition(", ")
    if comma and article.casefold() in _FOLDED_ARTICLES:
        return f"{article}{'' if article.endswith(chr(39)) else ' '}{rest}"
    return title
