"""Downloads over a real connection that breaks, stalls and lies."""

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from seeds.files import download
from seeds.files.download import download_movielens
from seeds.files.report import SourceError, quiet

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Site:
    """One zip and its MD5; what goes wrong is set by the test."""

    address: str = ""
    ranges: bool = True
    cut_after: int | None = None  # bytes sent before the connection is cut
    failures: int = 0  # answers with status 503 still to give
    md5: str = f"MD5 (ml-test.zip) = {MD5}\n"
    asked: list[str | None] = field(default_factory=list)  # Range of each request for the zip


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        if self.site.failures:
            self.site.failures -= 1
            self.send_error(503)
        elif self.path == "/ml-test.zip.md5":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.site.md5.encode())
        elif self.path == "/ml-test.zip":
            self.send_zip()
        else:
            self.send_error(404)

    def send_zip(self) -> None:
        wanted = self.headers["Range"]
        self.site.asked.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.site.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.site.cut_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(download, "PAUSES", (0.01, 0.01))
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        site.address = f"http://127.0.0.1:{server.server_port}/"
        yield site
        server.shutdown()
        thread.join()


def fetch(site: Site, folder: Path) -> Path:
    return download_movielens("ml-test", folder, progress=quiet, address=site.address)


def test_a_download_goes_on_where_the_connection_broke(site: Site, tmp_path: Path) -> None:
    site.cut_after = len(CONTENT) // 3
    fractions: list[float] = []
    path = download_movielens(
        "ml-test",
        tmp_path / "new",
        progress=lambda _, fraction: fractions.append(fraction),
        address=site.address,
    )
    assert path.read_bytes() == CONTENT
    third = site.cut_after
    assert site.asked == [None, f"bytes={third}-", f"bytes={2 * third}-", f"bytes={3 * third}-"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [file.name for file in path.parent.iterdir()] == ["ml-test.zip"]
    fetch(site, tmp_path / "new")
    assert len(site.asked) == 4, "what is there is not downloaded again"


def test_a_later_run_goes_on_from_the_part(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-test.zip.part").write_bytes(CONTENT[:5000])
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == ["bytes=5000-"]


def test_a_part_that_is_whole_is_only_checked(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-test.zip.part").write_bytes(CONTENT)
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_of_it(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    (tmp_path / "ml-test.zip.part").write_bytes(CONTENT[:5000])
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_a_server_that_is_busy_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.failures = 2
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_a_connection_that_always_breaks_is_given_up(site: Site, tmp_path: Path) -> None:
    site.ranges, site.cut_after = False, 1000
    with pytest.raises(SourceError, match=r"ml-test\.zip: "):
        fetch(site, tmp_path)
    assert len(site.asked) == 1 + len(download.PAUSES), "one that brought something, and two that did not"


def test_a_damaged_file_is_not_kept(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-test.zip.part").write_bytes(b"something else")
    with pytest.raises(SourceError, match="is damaged"):
        fetch(site, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_a_file_without_a_published_digest_is_not_taken(site: Site, tmp_path: Path) -> None:
    site.md5 = "<html>moved</html>"
    with pytest.raises(SourceError, match="has no MD5"):
        fetch(site, tmp_path)
    with pytest.raises(SourceError, match="404"):
        download_movielens("ml-none", tmp_path, progress=quiet, address=site.address)


def test_a_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES", (0.01,))
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/ml-test\.zip\.md5"):
        download_movielens("ml-test", tmp_path, progress=quiet, address="http://127.0.0.1:9/")
