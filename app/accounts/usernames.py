"""Usernames: which may be taken, and which account a name means.

A name is one name in all its spellings (compatibility forms, capitals): they share a key, by which accounts
are found. A new name must also look unlike every other one: names that look alike share a skeleton. Accounts
from before these rules keep their names, and are found by them as they were registered.
"""

from unicodedata import category, decimal, normalize

from sqlalchemy import ColumnElement, func, or_, select

from app.accounts import confusables
from app.db.tables import User

MIN_LENGTH, MAX_LENGTH = 2, 64
MAX_GIVEN_LENGTH = 256  # before it is normalized, which takes the square of the length
PUNCTUATION = "._-+@"
RESERVED = ("simulated-", "movielens-", "movietweetings-")  # for the members that come with data sets
MAX_MARKS = 4  # on one letter (UTS 39, section 5.4)


def username_in(given: str) -> str:
    """The username that a text is, normalized; empty for a text that no account can have."""
    if len(given) > MAX_GIVEN_LENGTH:
        return ""
    username = normalize("NFKC", given)
    # What is not printable is no text for Postgres, or a trap.
    return username if MIN_LENGTH <= len(username) <= MAX_LENGTH and username.isprintable() else ""


def fault(username: str) -> str | None:
    """The rule that a normalized name for a new account breaks, for its owner to read; None for none."""
    return next((rule for rule, is_kept in RULES if not is_kept(username)), None)


def key(username: str) -> str:
    """What all spellings of a name share, and no other name has."""
    return normalize("NFKC", normalize("NFKC", username).casefold())


def skeletons(username: str) -> tuple[str, str]:
    """What a name looks like without regard to capitals, and as it is written.

    Both are needed: a capital I looks like an l only as it is written, and capitals of two scripts may look
    alike where their small letters do not, or the other way round.
    """
    written = normalize("NFKC", username)
    return confusables.skeleton(key(written)), key(confusables.skeleton(written))


def columns(username: str) -> dict[str, str]:
    """What is stored with a new account: the name and what makes it the only one of its kind."""
    without_case, as_written = skeletons(username)
    return {
        "username": username,
        "username_key": key(username),
        "skeleton": without_case,
        "skeleton_as_written": as_written,
    }


def named(username: str) -> ColumnElement[bool]:
    """Whose name it is: of the account that was registered so, else of the one with the same key."""
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
    """Looked at decomposed, so that a letter that is composed with a mark does not hide it."""
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


# In this order: each may rely on those before it.
RULES = (
    (
        f"A username has {MIN_LENGTH} to {MAX_LENGTH} letters, digits and characters of `. _ - + @`.",
        _has_usable_characters,
    ),
    (
        "A username begins with a letter, a digit or `_`, and has a letter or a digit at least.",
        _begins_with_a_letter,
    ),
    (
        "A username has letters of one script; Latin may stand beside Chinese, Japanese or Korean.",
        _has_one_script,
    ),
    ("A username has digits of one kind.", _has_one_kind_of_digits),
    (f"A letter of a username has at most {MAX_MARKS} marks, and none twice.", _has_few_marks),
    (
        f"A username does not begin with {', '.join(RESERVED[:-1])} or {RESERVED[-1]}, nor look so.",
        _looks_unreserved,
    ),
)
