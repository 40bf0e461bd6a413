"""Password rules and hashing.

The rules are those of NIST SP 800-63B: a length, and not a common password; no classes of characters are
required. Hashes are Argon2id with 19 MiB, two passes and one lane, which OWASP recommends.
"""

import asyncio
import os
from collections.abc import Callable
from importlib.resources import files
from typing import Any
from unicodedata import category, normalize

from passlib.hash import argon2

from app.web.meter import Threads

MIN_LENGTH, MAX_LENGTH = 8, 128
MIN_DIFFERENT = 4

# The library loads its backend on first use, which fails if two threads do it at once.
argon2.set_backend()
HASHER = argon2.using(type="ID", memory_cost=19 * 1024, time_cost=2, parallelism=1)

# A hash takes a core for some 40 ms. More threads than cores would only delay each one. A separate pool keeps
# the default threads free.
HASHING = Threads(os.cpu_count(), thread_name_prefix="argon2")

# Passwords of eight characters or more, in lower case: those of the library zxcvbn 4.5 (MIT), from published
# leaks, and sequences and repetitions that it leaves out.
COMMON = frozenset((files("app.accounts") / "common_passwords.txt").read_text("utf-8").splitlines())


def weakness(password: str, username: str) -> str | None:
    """The rule that a password breaks, as a message for its owner; None for an acceptable one."""
    if len(password) < MIN_LENGTH:
        return f"The password must have at least {MIN_LENGTH} characters."
    if not acceptable(password):
        return f"The password must have at most {MAX_LENGTH} characters, and no control characters."
    password = normalized(password).casefold()
    if password == normalized(username).casefold():
        return "The password must not be the username."
    if password in COMMON:
        return "The password is too common."
    if len(set(password)) < MIN_DIFFERENT:
        return f"The password must have at least {MIN_DIFFERENT} different characters."
    return None


async def hashed(password: str) -> str:
    return str(await in_thread(HASHER.hash, normalized(password)))


async def verified(password: str, password_hash: str | None) -> bool:
    """Whether a password matches a hash. Takes as long without a hash, or with an unacceptable password."""
    usable = acceptable(password)
    text = normalized(password) if usable else ""
    if password_hash is None:
        await in_thread(HASHER.hash, text)
        return False
    return bool(await in_thread(HASHER.verify, text, password_hash)) and usable


def outdated(password_hash: str) -> bool:
    """Whether a hash was made with other parameters than the current ones."""
    return bool(HASHER.needs_update(password_hash))


def acceptable(password: str) -> bool:
    """Whether a password is short enough to hash and has no control characters or lone surrogates."""
    return len(password) <= MAX_LENGTH and all(
        category(character) not in {"Cc", "Cs"} for character in password
    )


def normalized(password: str) -> str:
    """Normalize a password, since keyboards compose characters differently."""
    return normalize("NFKC", password)


async def in_thread(function: Callable[..., Any], *arguments: str) -> Any:
    return await asyncio.get_running_loop().run_in_executor(HASHING, function, *arguments)
