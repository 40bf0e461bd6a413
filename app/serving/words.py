"""Split titles and queries into words, with one form for each number and abbreviation."""

from seeds.titles import fold

MAX_LETTERS = 32  # longer words are cut

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth", "twentieth",
)  # fmt: skip
_ROMAN = (
    "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x",
    "xi", "xii", "xiii", "xiv", "xv", "xvi", "xvii", "xviii", "xix", "xx",
)  # fmt: skip
CARDINALS = (
    {word: number for number, word in enumerate((*_UNITS, *_TEENS))}
    | {word: 10 * number for number, word in enumerate(_TENS, 2)}
)  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000}
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
EQUAL_FORMS = (
    {word: str(number) for number, word in enumerate(_ROMAN, 1)}
    | {word: f"{number}{_ENDINGS.get(number, 'th')}" for number, word in enumerate(_ORDINALS, 1)}
    | {
        "vol": "volume", "pt": "part", "mr": "mister", "dr": "doctor", "mrs": "missus", "ep": "episode",
        "versus": "vs", "st": "saint", "mt": "mount", "no": "number", "colour": "color", "colours": "colors",
        "grey": "gray", "theatre": "theater", "centre": "center",
    }
)  # fmt: skip

NUMBER_WORDS = {word: str(number) for word, number in CARDINALS.items()} | {
    word: EQUAL_FORMS[word] for word in _ORDINALS
}


def words_of(text: str) -> list[str]:
    """The words of a text, normalized: "Part II", "pt. 2" and "part two" are `part`, `2`.

    Index and query are normalized alike, so a word that is mistaken for a number is found too.
    """
    raw = fold(text).split()
    words: list[str] = []
    at = 0
    while at < len(raw):
        number, length = _number(raw, at)
        if length:
            words.append(str(number))
        elif raw[at : at + 3] == ["and", "a", "half"]:
            words += ["1", "2"]  # 8½ folds to 8 1 2
            length = 3
        else:
            words.append(EQUAL_FORMS.get(raw[at], raw[at])[:MAX_LETTERS])
            length = 1
        at += length
    return words


def one_form(word: str) -> str:
    """Normalize one word as `words_of` does."""
    return NUMBER_WORDS.get(word) or EQUAL_FORMS.get(word, word)


def _number(raw: list[str], at: int) -> tuple[int, int]:
    """Parse the number spelled out at word `at`; return it and its number of words, 0 if there is none."""
    value, length = _below_hundred(raw, at)
    if not length:
        return 0, 0
    if length == 1 and 13 <= value <= 20:  # noqa: PLR2004 - "nineteen eighty-four"
        rest, more = _below_hundred(raw, at + 1)
        if more and rest >= 10:  # noqa: PLR2004
            return 100 * value + rest, 1 + more
    scale = _SCALES.get(raw[at + length]) if at + length < len(raw) else None
    if scale is None:
        return value, length
    value, length = value * scale, length + 1
    skipped = raw[at + length : at + length + 1] == ["and"]
    rest, more = _below_hundred(raw, at + length + skipped)
    return (value + rest, length + skipped + more) if more else (value, length)


def _below_hundred(raw: list[str], at: int) -> tuple[int, int]:
    if at >= len(raw) or (value := CARDINALS.get(raw[at])) is None:
        return 0, 0
    if value >= 20 and at + 1 < len(raw) and 0 < (unit := CARDINALS.get(raw[at + 1], 0)) < 10:  # noqa: PLR2004
        return value + unit, 2
    return value, 1
