"""Download MovieLens from GroupLens: resumable, verified by MD5, and atomic."""

import hashlib
import os
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import httpx

from recommender.progress import Progress
from seeds.files.report import SourceError

ADDRESS = "https://files.grouplens.org/datasets/movielens/"
MOVIELENS = (
    "ml-latest-small", "ml-latest", "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m",
)  # fmt: skip
PAUSES = (0.2, 1.0, 3.0, 10.0)  # seconds before each retry while there is no progress
_TIMEOUT = httpx.Timeout(30.0, connect=15.0)

T = TypeVar("T")


def download_movielens(name: str, folder: Path, *, progress: Progress, address: str = ADDRESS) -> Path:
    """Download a data set into `folder` unless it is there; return the path of the zip.

    It is verified by the MD5 that GroupLens publishes. Until then the file is called `<name>.zip.part`, and
    another call resumes the download.

    Raises:
        SourceError: the server is unreachable, has no such file, or sends a damaged one.
    """
    target = folder / f"{name}.zip"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    url = httpx.URL(address).join(target.name)
    part = target.with_suffix(".zip.part")
    headers = {"Accept-Encoding": "identity"}
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers=headers) as client:
        expected = _retry(lambda: _published_md5(client, url), lambda: 0)
        _retry(lambda: _fetch_rest(client, url, part, progress), lambda: _size(part))
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        os.fsync(file.fileno())
    if found != expected:
        part.unlink()
        raise SourceError(f"{url} is damaged: its MD5 is {found} instead of {expected}; try again")
    part.replace(target)
    return target


def _retry(attempt: Callable[[], T], progress_made: Callable[[], int]) -> T:
    """Retry after connection errors, without limit while attempts increase `progress_made()`."""
    pauses = iter(PAUSES)
    while True:
        before = progress_made()
        try:
            return attempt()
        except httpx.TransportError as error:
            if progress_made() > before:
                pauses = iter(PAUSES)
            if (pause := next(pauses, None)) is None:
                raise SourceError(f"{error.request.url}: {error or type(error).__name__}") from error
            time.sleep(pause)


def _published_md5(client: httpx.Client, url: httpx.URL) -> str:
    answer = client.get(f"{url}.md5")
    _raise_for_status(answer)
    if match := re.search(r"\b[0-9a-f]{32}\b", answer.text.lower()):
        return match[0]
    raise SourceError(f"{url}.md5 has no MD5")


def _fetch_rest(client: httpx.Client, url: httpx.URL, part: Path, progress: Progress) -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the file is complete; the MD5 verifies it
        _raise_for_status(answer)
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server ignores the range and sends the whole file
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
