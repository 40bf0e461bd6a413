"""Usernames: equal in all spellings, of one script, and different in looks from all others."""

import asyncio

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert, select, text

from app.accounts import admin, authentication, confusables, login_throttle, passwords, usernames
from app.accounts.viewer import Role
from app.db.engine import Sessions, create_engine, sessionmaker
from app.db.tables import User
from app.recommendations import groups
from app.settings import Settings
from tests.conftest import ROOT

pytestmark = pytest.mark.anyio

PASSWORD = "a long walk home"


@pytest.mark.parametrize(
    ("text_", "other"),
    [
        ("paypal", "p\u0430yp\u0430l"),  # Cyrillic a
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),  # all Cyrillic
        ("rn", "m"),
        ("l1I", "lll"),
        ("\u0131", "i"),  # dotless
        ("a\u200bb", "ab"),  # an invisible character
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_confusable_texts_have_one_skeleton(text_: str, other: str) -> None:
    assert confusables.skeleton(text_) == confusables.skeleton(other)


def test_the_skeleton_is_its_own_skeleton() -> None:
    """The table maps to prototypes, which are mapped no further."""
    for source in confusables.PROTOTYPES:
        skeleton = confusables.skeleton(source)
        assert confusables.skeleton(skeleton) == skeleton, hex(ord(source))


@pytest.mark.parametrize(
    "one", ["abc", "\u043c\u0438\u0440", "yamada\u592a\u90ce", "\u3084\u307e\u30c0\u592a", "123"]
)
def test_scripts_that_may_be_combined(one: str) -> None:
    assert confusables.is_highly_restrictive(one)


@pytest.mark.parametrize(
    "mixed", ["a\u043c", "a\u03b1", "\u043c\u03b1", "a\u0915", "\u043c\u592a", "\uae40\u3084"]
)
def test_scripts_that_may_not_be_combined(mixed: str) -> None:
    assert not confusables.is_highly_restrictive(mixed)


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "ada.lovelace-7",
        "ada@example.org",
        "_ada",
        "1234",
        "Jos\u00e9",
        "\u0141ukasz",
        "\u041c\u0430\u0440\u0438\u044f_7",
        "\u0395\u03bb\u03ad\u03bd\u03b7",
        "\u5c71\u7530\u592a\u90ce",
        "yamada\u592a\u90ce",
        "Kim\ucca0\uc218",
        "\u0939\u093f\u0928\u094d\u0926\u0940",  # with vowel signs
        "\u0e44\u0e17\u0e22",
        "\u0639\u0631\u0628\u064a",
        "\u1eb9\u0301k\u1ecd\u0301",  # letters without a composed form
    ],
)
def test_names_in_all_languages_are_accepted(name: str) -> None:
    assert usernames.fault(usernames.username_in(name)) is None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("..", "begins with"),
        ("@@", "begins with"),
        ("-rf", "begins with"),
        ("+1-1", "begins with"),
        ("@ada", "begins with"),
        ("__", "at least one letter or digit"),
        ("=1+1", "letters, digits"),
        ("a\u200bda", "letters, digits"),
        ("a\u3164da", "letters, digits"),  # an invisible letter
        ("ad\u202ea", "letters, digits"),
        ("\ud800a", "letters, digits"),
        ("a\U0001f600", "letters, digits"),
        ("\u0410dmin", "one script"),
        ("ad\u0430", "one script"),
        ("\u03b1lpha", "one script"),
        ("7\u0667", "digits of one script"),
        ("a\u0301\u0301\u0301", "marks"),
        ("simulated-7", "begin with"),
        ("sirnulated-7", "or a look-alike"),
        ("SIMULATED-7", "begin with"),
        ("movieIens-7", "or a look-alike"),
    ],
)
def test_names_that_break_a_rule_are_refused(name: str, rule: str) -> None:
    assert rule in (usernames.fault(usernames.username_in(name)) or "")


def test_a_long_name_is_not_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> str:
        pytest.fail("it takes the square of the length")

    monkeypatch.setattr(usernames, "normalize", refuse)
    assert usernames.username_in("a" + "\u0301\u0316" * usernames.MAX_GIVEN_LENGTH) == ""


ALIKE = [
    ("coe", "\u0441\u043e\u0435"),  # all Cyrillic
    ("BOB", "\u0412\u041e\u0412"),
    ("bob", "\u0412\u041e\u0412"),
    ("Coe", "\u0441\u043e\u0435"),
    ("alice", "al\u0131ce"),
    ("PayPal", "PayPaI"),
    ("paypal", "PayPaI"),
    ("modern", "modem"),
    ("Modern", "modem"),
    ("bob0", "bobO"),
    ("user1", "userl"),
    ("stra\u00dfe", "STRASSE"),
    ("\u03a3\u039f\u03a6\u039f\u03a3", "\u03c3\u03bf\u03c6\u03bf\u03c2"),
    ("Ada", "\uff21da"),
]


@pytest.mark.parametrize(("first", "second"), [*ALIKE, *(pair[::-1] for pair in ALIKE)])
async def test_a_name_that_looks_like_another_is_refused(
    sessions: Sessions, settings: Settings, first: str, second: str
) -> None:
    await authentication.sign_up(sessions, settings, first, PASSWORD)
    with pytest.raises(authentication.UsernameTaken):
        await authentication.sign_up(sessions, settings, second, PASSWORD)
    await authentication.sign_up(sessions, settings, "somebody.else", PASSWORD)


async def test_of_concurrent_look_alikes_one_is_created(sessions: Sessions, settings: Settings) -> None:
    names = ["modem", "modern", "MODEM", "rnodern", "rnodem", "Modern"]
    results = await asyncio.gather(
        *(authentication.sign_up(sessions, settings, name, PASSWORD) for name in names),
        return_exceptions=True,
    )
    assert sum(isinstance(result, authentication.Tokens) for result in results) == 1
    assert sum(isinstance(result, authentication.UsernameTaken) for result in results) == len(names) - 1


async def test_one_key_finds_an_account_everywhere(sessions: Sessions, settings: Settings) -> None:
    name, spelled = "stra\u00dfe", "\uff33TRASSE"
    viewer = (await authentication.sign_up(sessions, settings, name, PASSWORD)).viewer
    assert (await authentication.log_in(sessions, settings, spelled, PASSWORD)).viewer.id == viewer.id
    assert await admin.set_role(sessions, spelled, Role.CURATOR) == name
    (member,) = await groups.members(sessions, viewer.id, [spelled, name])
    assert member.username == name
    await authentication.sign_up(sessions, settings, "modern", PASSWORD)
    await admin.create_admin(sessions, spelled, "another long walk")
    assert (
        await authentication.log_in(sessions, settings, name, "another long walk")
    ).viewer.role is Role.ADMIN
    with pytest.raises(admin.UnknownMember):
        await admin.set_role(sessions, "str\u0430\u00dfe", Role.ADMIN)  # a look-alike is no account
    with pytest.raises(authentication.UsernameTaken):
        await admin.create_admin(sessions, "modem", PASSWORD)
    assert await admin.delete_member(sessions, spelled) == viewer.id


async def test_spellings_of_a_name_share_a_limit(sessions: Sessions, settings: Settings) -> None:
    for spelled in ("stra\u00dfe", "STRASSE", "\uff33trasse", "Strasse", "STRA\u00dfE"):
        with pytest.raises(authentication.InvalidCredentials):
            await authentication.log_in(sessions, settings, spelled, "a guess")
    with pytest.raises(login_throttle.TooManyAttempts):
        await authentication.log_in(sessions, settings, "strasse", "a guess")


def test_older_accounts_keep_their_names(database_url: str, settings: Settings) -> None:
    """Also if they break current rules or look alike; the oldest one has the skeleton."""
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["database_url"] = database_url
    command.downgrade(config, "0010")
    old = ["Admin", "\u0410dmin", "stra\u00dfe", "STRASSE", "..", "-rf", "modem", "modern", "ada"]

    async def add() -> None:
        engine = create_engine(database_url, settings)
        hash_ = await passwords.hashed(PASSWORD)
        async with engine.begin() as connection:
            for name in old:
                statement = text("INSERT INTO users (username, password_hash) VALUES (:name, :hash)")
                await connection.execute(statement, {"name": name, "hash": hash_})
            await connection.execute(text("INSERT INTO users (username) VALUES ('movielens-1')"))
        await engine.dispose()

    async def look() -> None:
        engine = create_engine(database_url, settings)
        sessions = sessionmaker(engine)
        for name in old:
            assert (await authentication.log_in(sessions, settings, name, PASSWORD)).viewer.username == name
            with pytest.raises(authentication.AccountError):
                await authentication.sign_up(sessions, settings, name, PASSWORD)
        with pytest.raises(authentication.UsernameTaken):
            await authentication.sign_up(sessions, settings, "rnodern", PASSWORD)
        async with sessions() as session:
            keys = dict((await session.execute(select(User.username, User.username_key))).all())
            looks = dict((await session.execute(select(User.username, User.skeleton))).all())
        assert keys["STRASSE"] == "strasse"
        assert keys["stra\u00dfe"] is None  # the other account registered the key
        assert looks["Admin"] is not None
        assert looks["\u0410dmin"] is None
        assert looks["modern"] is looks["movielens-1"] is None
        await engine.dispose()

    asyncio.run(add())
    command.upgrade(config, "head")
    asyncio.run(look())


async def test_an_account_created_by_an_older_release_works(sessions: Sessions, settings: Settings) -> None:
    """It has neither a key nor skeletons."""
    async with sessions.begin() as session:
        hash_ = await passwords.hashed(PASSWORD)
        await session.execute(insert(User).values(username="Ada", password_hash=hash_))
    assert (await authentication.log_in(sessions, settings, "ADA", PASSWORD)).viewer.username == "Ada"
    with pytest.raises(authentication.UsernameTaken):
        await authentication.sign_up(sessions, settings, "ada", PASSWORD)
