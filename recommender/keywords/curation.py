"""Select the keywords of a catalog that a reason may name.

A keyword such as `heist` tells a reader why a movie is recommended. A name of a person, a remark such as
`imdb top 250`, a spoiler such as `twist ending` and a thing such as `broom` do not. telling.txt lists
keywords of themes, settings, styles and periods; withheld.txt lists spoilers, remarks, crude words and words
that say nothing. The vocabulary of most catalogs is that of telling.txt, and only its keywords are named. In
a catalog that mostly has others, keywords are named that pass the rules of `_plausible`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files

FOLDER = files("recommender.keywords")
MAX_SHARE = 0.1  # of the movies: a more frequent keyword describes none of them
MANY = 100  # movies from which MAX_SHARE applies
FAMILIAR = 0.2  # share of the movies with keywords from which a catalog has the vocabulary of telling.txt
LEAST = 3  # movies with a plausible keyword
MAX_PLAUSIBLE_SHARE = 0.05
MAX_WORDS, MIN_LETTERS, MAX_LETTERS = 3, 4, 30
# Words of remarks on the movie, its ratings or its ending instead of its subject.
REMARKS = re.compile(
    r"\b(imdb|top|oscar|award|awards|best|worst|rating|rated|ratings|ending|ends|twist|spoiler|killed|dies|died"
    r"|death|dead|suicide|watched|seen|favou?rite|dvd|netflix|stinger|director|sequel|remake|adaptation)\b"
)


def _normal(keyword: str) -> str:
    """A keyword without case, hyphens, repeated spaces and the s of a plural."""
    words = keyword.casefold().replace("-", " ").split()
    if words and len(words[-1]) >= MIN_LETTERS and not words[-1].endswith("ss"):
        words[-1] = words[-1].removesuffix("s")
    return " ".join(words)


def _words(file: str) -> frozenset[str]:
    return frozenset(map(_normal, (FOLDER / file).read_text("utf-8").splitlines()))


TELLING, WITHHELD = _words("telling.txt"), _words("withheld.txt")


def is_telling(keyword: str) -> bool:
    """Whether telling.txt lists the keyword."""
    return _normal(keyword) in TELLING


def named(keywords: Sequence[Iterable[str]], people: Iterable[str]) -> frozenset[str]:
    """Return the keywords that a reason may name.

    keywords: those of each of n movies. people: names of the people of the catalog.
    """
    counts = Counter(keyword for of_movie in keywords for keyword in set(of_movie))
    n_described = sum(1 for of_movie in keywords if any(True for _ in of_movie))
    most = MAX_SHARE * len(keywords) if len(keywords) >= MANY else len(keywords)
    names = frozenset(" ".join(name.casefold().split()) for name in people)
    known = {keyword for keyword, count in counts.items() if is_telling(keyword) and count <= most}
    known = {keyword for keyword in known if " ".join(keyword.casefold().split()) not in names}
    n_known = sum(1 for of_movie in keywords if any(keyword in known for keyword in of_movie))
    if n_known >= FAMILIAR * n_described:
        return frozenset(known)
    parts = frozenset(part for name in names for part in name.split())
    most = max(LEAST, min(most, MAX_PLAUSIBLE_SHARE * len(keywords)))
    return frozenset(
        keyword
        for keyword, count in counts.items()
        if keyword in known or (LEAST <= count <= most and _plausible(keyword, names, parts))
    )


def _plausible(keyword: str, names: frozenset[str], parts: frozenset[str]) -> bool:
    """Whether an unlisted keyword is likely to be a subject.

    It consists of one to three words of letters. It is no remark and not in withheld.txt. It is neither a
    name in `names`, casefolded, nor two or three words that all are parts of names.
    """
    normal = _normal(keyword)
    words = keyword.casefold().replace("-", " ").split()
    return (
        len(words) <= MAX_WORDS
        and MIN_LETTERS <= len(normal) <= MAX_LETTERS
        and all(word.replace("'", "").isalpha() for word in words)
        and normal not in WITHHELD
        and not REMARKS.search(normal)
        and " ".join(words) not in names
        and not (len(words) > 1 and all(word in parts for word in words))
    )
