"""Usernames: the rules for new ones, and lookup of accounts by name.

All spellings of a name (compatibility forms, capitals) share a key, by which accounts are found. A new name
must also look different from every other: names that look alike share a skeleton. Accounts older than these
rules keep their names, and are found by them as registered.
"""

from unicodedata import category, decimal, normalize

from sqlalchemy import ColumnElement, func, or_, select

from app.accounts import confusables
from app.db.tables import User

MIN_LENGTH, MAX_LENGTH = 2, 64
MAX_GIVEN_LENGTH = 256  # before normalization, which takes quadratic time
PUNCTUATION = "._-+@"
RESERVED = ("simulated-", "movielens-", "movietweetings-")  # for the members of data sets
MAX_MARKS = 4  # on one letter (UTS 39, section 5.4)


def username_in(text: str) -> str:
    """Normalize a username; '' for a text that cannot be one."""
    if len(text) > MAX_GIVEN_LENGTH:
        return ""
    username = normalize("NFKC", text)
    # Postgres rejects some characters that are not printable, and others deceive readers.
    return username if MIN_LENGTH <= len(username) <= MAX_LENGTH and username.isprintable() else ""


def fault(username: str) -> str | None:
    """The rule that a normalized name for a new account breaks, as a message for its owner; None if valid."""
    return next((rule for rule, is_kept in RULES if not is_kept(username)), None)


def key(username: str) -> str:
    """The key, which is equal for all spellings of a name and for no other name."""
    return normalize("NFKC", normalize("NFKC", username).casefold())


def skeletons(username: str) -> tuple[str, str]:
    """The skeletons of a name without regard to case, and as written.

    Both are needed: a capital I looks like an l only as written, and capitals of two scripts may look alike
    where their small letters do not, or the reverse.
    """
    written = normalize("NFKC", username)
    return confusables.skeleton(key(written)), key(confusables.skeleton(written))


def columns(username: str) -> dict[str, str]:
    """The columns of a new account: its name, and its key and skeletons, which are unique."""
    without_case, as_written = skeletons(username)
    return {
        "username": username,
        "username_key": key(username),
        "skeleton": without_case,
        "skeleton_as_written": as_written,
    }


def named(username: str) -> ColumnElement[bool]:
    """Condition for the account of a name: the one registered with it, else the one with the same key."""
    as_registered = func.lower(User.username) == func.lower(username)
    candidates = select(User.id).where(or_(as_registered, User.username_key == key(username)))
    return User.id == candidates.order_by(as_registered.desc()).limit(1).scalar_subquery()


def _has_usable_characters(username: str) -> bool:
    return username != "" and all(
        character in PUNCTUATION
        or (
            (category(character)[0] in "LM" or category(character) == "Nd")
            and confusables.is_allowed(character)
        )
        for character in username
    )


def _begins_with_a_letter(username: str) -> bool:
    return (username[0].isalnum() or username[0] == "_") and any(map(str.isalnum, username))


def _has_one_script(username: str) -> bool:
    return confusables.is_highly_restrictive("".join(c for c in username if c not in PUNCTUATION))


def _has_one_kind_of_digits(username: str) -> bool:
    return len({ord(c) - decimal(c) for c in username if category(c) == "Nd"}) <= 1


def _has_few_marks(username: str) -> bool:
    """Whether no letter has too many marks. Counted in decomposed form, which shows all marks."""
    marks: list[str] = []
    for character in normalize("NFD", username):
        if category(character) != "Mn":
            marks = []
        elif character in marks or len(marks) == MAX_MARKS:
            return False
        else:
            marks.append(character)
    return True


def _looks_unreserved(username: str) -> bool:
    own = skeletons(username)
    return not any(
        looks.startswith(taken)
        for name in RESERVED
        for looks, taken in zip(own, skeletons(name), strict=True)
    )


# Checked in this order: a rule may rely on those before it.
RULES = (
    (
        f"A username has {MIN_LENGTH} to {MAX_LENGTH} letters, digits and characters of `. _ - + @`.",
        _has_usable_characters,
    ),
    (
        "A username begins with a letter, a digit or `_`, and has at least one letter or digit.",
        _begins_with_a_letter,
    ),
    (
        "A username has letters of one script; Latin may be combined with Chinese, Japanese or Korean.",
        _has_one_script,
    ),
    ("A username has digits of one script.", _has_one_kind_of_digits),
    (f"A letter of a username has at most {MAX_MARKS} marks, each at most once.", _has_few_marks),
    (
        f"A username does not begin with {', '.join(RESERVED[:-1])} or {RESERVED[-1]}, or a look-alike.",
        _looks_unreserved,
    ),
)
