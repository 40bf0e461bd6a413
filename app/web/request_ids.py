"""The id of a request, in `X-Request-Id` and in each log line of the request."""

import os
import re

from starlette.types import Scope

HEADER = b"x-request-id"
ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,128}")  # nothing that a log or a header would have to escape


def id_of(scope: Scope) -> str:
    """The id that was sent, if it is short and plain; else a new one."""
    for name, value in scope["headers"]:
        if name == HEADER:
            if ACCEPTED.fullmatch(value):
                sent: str = value.decode()
                return sent
            break
    return new_id()


def new_id() -> str:
    return os.urandom(16).hex()
