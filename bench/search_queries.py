"""Generate search queries for a movie from its title, year and people."""

import random
import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.serving.cards import Card
from app.serving.snapshot import Snapshot
from app.serving.word_index import WordIndex
from seeds.titles import fold, fold_case

COMPOUND = 7  # minimum letters of a compound word to split
NUMERALS = {
    number: (str(number), roman, word)
    for number, (roman, word) in enumerate(
        [
            ("ii", "two"), ("iii", "three"), ("iv", "four"), ("v", "five"), ("vi", "six"), ("vii", "seven"),
            ("viii", "eight"), ("ix", "nine"), ("x", "ten"), ("xi", "eleven"),
            ("xii", "twelve"), ("xiii", "thirteen"),
        ],
        2,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    kind: str
    text: str
    position: int  # of the meant movie in the snapshot


def queries_of(card: Card, position: int, vocabulary: WordIndex, rng: random.Random) -> Iterator[Query]:
    """Generate queries of every kind for one movie."""
    title = card.title
    texts: list[tuple[str, str]] = [
        ("title", title),
        ("title movie", f"{title} movie"),
        ("movie title", f"movie {title}"),
        ("bare title", " ".join(word for word in fold(title).split())),
        ("unfinished", title[: max(3, -(-3 * len(title) // 4))].strip()),
    ]
    if card.year:
        texts += [("title year", f"{title} {card.year}"), ("title (year)", f"{title.lower()} ({card.year})")]
    if card.directors:
        name = card.directors[0].name
        texts += [
            ("title director", f"{title} {name}"),
            ("title director's surname", f"{title} {name.split()[-1]}"),
            ("director title", f"{name.lower()} {title.lower()}"),
        ]
    if card.cast:
        texts.append(("title actor", f"{title} {card.cast[0][0].name}"))
    if card.directors and card.year:
        texts.append(("title year director", f"{title} {card.year} {card.directors[0].name}"))
    if title.startswith(("The ", "A ")):
        article, rest = title.split(" ", 1)
        texts += [("article behind", f"{rest}, {article}"), ("no article", rest)]
    if " and " in title or "&" in title:
        other = title.replace("&", "and") if "&" in title else title.replace(" and ", " & ")
        texts.append(("other and", other))
    texts += [("another title", other) for other in card.alternative_titles if fold_case(other).isascii()][:1]
    texts += [("one typing error", typo) for typo in [mistyped(title, rng)] if typo]
    texts += [("words joined", joined) for joined in [joined_pair(title)] if joined]
    texts += [("word parted", parted) for parted in [parted_word(title, vocabulary)] if parted]
    yield from (Query(kind, text, position) for kind, text in texts)


def mistyped(title: str, rng: random.Random) -> str | None:
    """The title with one typing error in a word of five letters or more; None without such a word."""
    words = list(re.finditer(r"[A-Za-z]{5,}", title))
    if not words:
        return None
    word = rng.choice(words)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    edits: list[Callable[[], str]] = [
        lambda: title[:at] + title[at + 1] + title[at] + title[at + 2 :],
        lambda: title[:at] + title[at + 1 :],
        lambda: title[:at] + title[at] + title[at:],
        lambda: title[:at] + rng.choice(string.ascii_lowercase) + title[at + 1 :],
    ]
    wrong = rng.choice(edits)().lower()
    return wrong if wrong != title.lower() else None


def joined_pair(title: str) -> str | None:
    words = fold(title).split()
    return "".join(words) if len(words) == 2 and min(map(len, words)) > 1 else None  # noqa: PLR2004


def parted_word(title: str, vocabulary: WordIndex) -> str | None:
    """The title with its first compound word split into two words of the vocabulary."""
    for word in fold(title).split():
        for cut in range(3, len(word) - 2):
            if len(word) >= COMPOUND and vocabulary.has(word[:cut]) and vocabulary.has(word[cut:]):
                return fold(title).replace(word, f"{word[:cut]} {word[cut:]}")
    return None


def sequels(snapshot: Snapshot, positions: Sequence[int]) -> Iterator[Query]:
    """Numbered titles with the number in another form: 2, ii or two."""
    forms = {form: forms for forms in NUMERALS.values() for form in forms}
    for position in positions:
        title = fold(snapshot.cards[position].title).split()
        for at, word in enumerate(title):
            if at and word in forms and not (word in ("v", "x") and at + 1 < len(title)):
                others = forms[word]
                other = others[(others.index(word) + 1) % 3]
                yield Query(
                    "sequel by another number", " ".join([*title[:at], other, *title[at + 1 :]]), position
                )
                break


def judged(snapshot: Snapshot, positions: Sequence[int], seed: int) -> list[Query]:
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    vocabulary = snapshot.titles.titles
    return [query for at in positions for query in queries_of(snapshot.cards[at], at, vocabulary, rng)]


def most_rated(snapshot: Snapshot) -> list[int]:
    return [int(at) for at in np.argsort(-snapshot.rating_count, kind="stable")]
