"""Password rules and hashing."""

import asyncio
import subprocess
import sys

import pytest
from passlib.hash import argon2
from sqlalchemy import insert, select

from app.accounts import authentication, passwords
from app.db.account_tables import RefreshToken
from app.db.engine import Sessions
from app.db.tables import User
from app.settings import Settings
from tests.conftest import ROOT
from tests.services import REAL_HASHER

pytestmark = pytest.mark.anyio

PASSWORD = "a long walk home"


@pytest.fixture
def real_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", REAL_HASHER)


@pytest.mark.usefixtures("real_hashes")
async def test_passwords_are_hashed_with_argon2id(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    async with sessions() as session:
        kept = await session.scalar(select(User.password_hash))
        hashes = (await session.scalars(select(RefreshToken.token_hash))).all()
    assert kept is not None
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert tokens.refresh_token.encode() not in hashes
    assert [len(token_hash) for token_hash in hashes] == [32]


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("", "at least 8"),
        ("seven77", "at least 8"),
        pytest.param("x1y2" * 33, "at most 128", id="long"),
        pytest.param("x1y2" * 250_000, "at most 128", id="large"),
        ("nul\0 within", "control"),
        ("half \ud800 character", "control"),
        ("Grace.Hopper", "username"),
        ("PassWord123", "too common"),
        ("\uff50assword123", "too common"),
        ("abababababab", "different"),
    ],
)
async def test_weak_passwords_are_refused_by_rule(
    sessions: Sessions, settings: Settings, password: str, rule: str
) -> None:
    with pytest.raises(authentication.WeakPassword, match=rule):
        await authentication.sign_up(sessions, settings, "grace.hopper", password)
    with pytest.raises(authentication.InvalidCredentials):
        await authentication.log_in(sessions, settings, "grace.hopper", password)


@pytest.mark.parametrize("password", ["12 ‰ of Çelik", "👩‍🚀 to the moon", "x1y2" * 32, "пароль из слов"])
async def test_passwords_of_any_script(sessions: Sessions, settings: Settings, password: str) -> None:
    await authentication.sign_up(sessions, settings, "ada", password)
    await authentication.log_in(sessions, settings, "ADA", password)
    with pytest.raises(authentication.InvalidCredentials):
        await authentication.log_in(sessions, settings, "ada", password[:-1])


async def test_passwords_are_normalized(sessions: Sessions, settings: Settings) -> None:
    await authentication.sign_up(sessions, settings, "ada", "cafe\u0301 au lait")
    await authentication.log_in(sessions, settings, "ada", "caf\u00e9 au lait")


RACE = """
import threading, time
from passlib.utils import handlers

def slow(cls, name, dryrun, load=handlers.SubclassBackendMixin._set_backend.__func__):
    time.sleep(0.3)
    load(cls, name, dryrun)

handlers.SubclassBackendMixin._set_backend = classmethod(slow)
from app.accounts import passwords

start, failures = threading.Barrier(16), []

def hash_one():
    start.wait()
    try:
        passwords.HASHER.hash("a long walk home")
    except BaseException as error:
        failures.append(repr(error))

threads = [threading.Thread(target=hash_one) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failures)
"""


def test_the_first_hashes_of_a_process_may_be_concurrent() -> None:
    """Even if the library loads its backend slowly, so that each thread could find it half loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", RACE], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert (ended.stdout, ended.returncode) == ("[]\n", 0), ended.stderr


@pytest.mark.usefixtures("real_hashes")
async def test_a_hash_with_outdated_parameters_is_replaced(sessions: Sessions, settings: Settings) -> None:
    former = argon2.using(type="ID", memory_cost=8192, time_cost=1, parallelism=1).hash(PASSWORD)
    async with sessions.begin() as session:
        await session.execute(insert(User).values(username="ada", password_hash=former))
    await asyncio.gather(*(authentication.log_in(sessions, settings, "ada", PASSWORD) for _ in range(3)))
    async with sessions() as session:
        kept = await session.scalar(select(User.password_hash))
    assert kept is not None
    assert "m=19456,t=2,p=1" in kept
    await authentication.log_in(sessions, settings, "ada", PASSWORD)
