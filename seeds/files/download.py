"""MovieLens by name from GroupLens: resumed where it broke off, checked, and whole or not there at all."""

import hashlib
import os
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import httpx

from seeds.files.report import Progress, SourceError

ADDRESS = "https://files.grouplens.org/datasets/movielens/"
MOVIELENS = (
    "ml-latest-small", "ml-latest", "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m",
)  # fmt: skip
PAUSES = (0.2, 1.0, 3.0, 10.0)  # seconds before each further attempt, as long as none brings anything
_TIMEOUT = httpx.Timeout(30.0, connect=15.0)

T = TypeVar("T")


def download_movielens(name: str, folder: Path, *, progress: Progress, address: str = ADDRESS) -> Path:
    """The zip of this name in `folder`, downloaded unless it is there.

    It is compared with the MD5 that GroupLens publishes beside it. Until that has been done it is called
    `<name>.zip.part`, and a next call goes on where this one stopped.

    Raises:
        SourceError: the server cannot be reached, has no such file, or sends a damaged one.
    """
    target = folder / f"{name}.zip"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    url = httpx.URL(address).join(target.name)
    part = target.with_suffix(".zip.part")
    headers = {"Accept-Encoding": "identity"}
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers=headers) as client:
        expected = _patiently(lambda: _published_md5(client, url), lambda: 0)
        _patiently(lambda: _fetch_rest(client, url, part, progress), lambda: _size(part))
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        os.fsync(file.fileno())
    if found != expected:
        part.unlink()
        raise SourceError(f"{url} came damaged: its MD5 is {found}, published is {expected}; try again")
    part.replace(target)
    return target


def _patiently(attempt: Callable[[], T], brought: Callable[[], int]) -> T:
    """Attempt again after a fault of the connection, without limit as long as each attempt brings more."""
    pauses = iter(PAUSES)
    while True:
        before = brought()
        try:
            return attempt()
        except httpx.TransportError as error:
            if brought() > before:
                pauses = iter(PAUSES)
            if (pause := next(pauses, None)) is None:
                raise SourceError(f"{error.request.url}: {error or type(error).__name__}") from error
            time.sleep(pause)


def _published_md5(client: httpx.Client, url: httpx.URL) -> str:
    answer = client.get(f"{url}.md5")
    _raise_for_status(answer)
    if match := re.search(r"\b[0-9a-f]{32}\b", answer.text.lower()):
        return match[0]
    raise SourceError(f"{url}.md5 holds no MD5")


def _fetch_rest(client: httpx.Client, url: httpx.URL, part: Path, progress: Progress) -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is here; what it is worth the MD5 tells
        _raise_for_status(answer)
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server sends the whole file, whatever was asked
        total = have + int(answer.headers.get("Content-Length", 0))
        with part.open("ab" if have else "wb") as file:
            for chunk in answer.iter_raw():
                file.write(chunk)
                have += len(chunk)
                progress(f"downloading {url.path.rpartition('/')[2]}", have / total if total else 0.0)


def _raise_for_status(answer: httpx.Response) -> None:
    if answer.is_server_error:
        raise httpx.RemoteProtocolError(f"status {answer.status_code}", request=answer.request)
    if not answer.is_success:
        raise SourceError(f"{answer.url}: status {answer.status_code} {answer.reason_phrase}")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
