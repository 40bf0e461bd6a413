"""Password rules and hashing.

The rules are those of NIST SP 800-63B: a length, and not a common password; no classes of characters are
required. Hashes are Argon2id with 19 MiB, two passes and one lane, which OWASP recommends.
"""

import asyncio
import os
from collections.abc import Callable
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

# The most common passwords of eight characters or more in published lists of leaks, in lower case.
COMMONEST = frozenset(
    """
    00000000 0123456789 0987654321 1029384756 11111111 1111111111 11223344 1122334455 12121212 12312312
    123123123 12341234 123454321 1234512345 123456123456 12345678 123456780 12345678910 123456789
    1234567890 123456789a 12345678a 123456abc 123456aa 1234qwer 123654789 123698745 123abc123 123qweasd
    123qweasdzxc 13579246 135792468 147258369 14789632 147852369 159357159 159753456 1a2b3c4d 1q2w3e4r
    1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 20202020 22222222 31415926 33333333 44444444
    55555555 66666666 741852963 77777777 789456123 87654321 88888888 963852741 987654321 9876543210
    99999999 a1234567 a12345678 a123456789 a1b2c3d4 aa123456 aaaaaaaa abc12345 abc123456 abcd1234
    abcdefgh abcdefghi adgjmptw administrator alexander arsenal1 asd123456 asdasdasd asdf1234 asdfasdf
    asdfghjk asdfghjkl asdfjkl; babygirl babygirl1 barcelona baseball baseball1 basketball blink182
    butterfly change_me changeme changeme1 charlie1 chelsea1 chocolate christian computer computer1
    corvette cowboys1 creative daniel123 dragon123 einstein elizabeth fuckyou1 football football1
    fuckyou2 garfield google123 greenday hello123 helloworld hellokitty iloveyou iloveyou1 iloveyou2
    internet jennifer jessica1 jonathan jordan23 juventus lasvegas letmein1 letmein123 letmeinnow
    liverpool liverpool1 lovelove manchester marlboro maverick mercedes metallica michael1 michelle
    midnight millions mustang1 mypassword naruto123 nicholas night123 nintendo p@ssw0rd p@ssword
    pa55word pa55w0rd pakistan passpass password password! password. password0 password01 password1
    password1! password11 password12 password123 password1234 password2 password3 passw0rd passw0rd1
    pokemon1 postgres princess princess1 q1w2e3r4 q1w2e3r4t5 qazwsxedc qazwsxedcrfv qq123456 qwe123456
    qweasdzxc qweqweqwe qwer1234 qwert123 qwert12345 qwerty12 qwerty123 qwerty1234 qwerty12345
    qwerty123456 qwertyui qwertyuiop rockstar samantha samsung1 security shadow123 skywalker slipknot
    snowball soccer12 spiderman starwars starwars1 steelers sunshine sunshine1 superman superman1
    supersecret sweetheart test1234 testtest testing1 thomas123 tinkerbell trustno1 trustno1! undertaker
    victoria volleyball warcraft welcome1 welcome123 whatever william1 winston1 xxxxxxxx yankees1
    yourmom1 zaq12wsx zaq1zaq1 zxcvbnm1 zxcvbnm123 zxcvbnm,./ zzzzzzzz
    """.split()  # noqa: SIM905 - a list would be much longer
)


def weakness(password: str, username: str) -> str | None:
    """The rule that a password breaks, as a message for its owner; None for an acceptable one."""
    if len(password) < MIN_LENGTH:
        return f"The password must have at least {MIN_LENGTH} characters."
    if not acceptable(password):
        return f"The password must have at most {MAX_LENGTH} characters, and no control characters."
    password = normalized(password).casefold()
    if password == normalized(username).casefold():
        return "The password must not be the username."
    if password in COMMONEST:
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
