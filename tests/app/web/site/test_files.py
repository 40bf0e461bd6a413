"""The files of the web app: each is valid, found, compressed and cached."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from graphql import parse, validate

from app.web import site
from app.web.site import Site, documents, files
from app.web.zstd import ZstdDecompressor
from schema import schema
from tests.services import StartServer

SITE = Site.of(None, explored=True)
LONGEST_FILE = 300  # lines


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server) as client:
        yield client


@pytest.mark.parametrize("document", SITE.documents, ids=lambda each: each.name)
def test_every_document_is_valid(document: documents.Document) -> None:
    assert validate(schema._schema, parse(document.text)) == []


def test_every_document_is_named_by_a_module_and_every_name_has_a_document() -> None:
    modules = "\n".join(body.decode() for name, body in SITE.files.items() if name.endswith(".js"))
    named = set(re.findall(r"\b(?:ask|change|subscribe)\(\s*\"([\w-]+)\"", modules))
    assert named == {document.name for document in SITE.documents}


def test_every_import_is_found_and_every_module_is_imported() -> None:
    reached = set(files.imported(site.MAIN, SITE.files))
    for route in SITE.routes:
        reached |= set(files.imported(f"pages/{route['page']}.js", SITE.files))
    assert reached == {name for name in SITE.files if name.endswith(".js")}


def test_comments_with_lines_of_their_own_are_not_sent(tmp_path: Path) -> None:
    script = b'// one\n  // two\nlet at; // kept\n/* three\nfour */\nlet url = "http://x";\n/** a */ f();\n'
    (tmp_path / "a.js").write_bytes(script)
    (tmp_path / "a.svg").write_bytes(b"// text\n")
    sent = b'\n\nlet at; // kept\n\n\nlet url = "http://x";\n/** a */ f();\n'
    assert files.read(tmp_path) == {"a.js": sent, "a.svg": b"// text\n"}


def test_no_file_is_long() -> None:
    for name, body in SITE.files.items():
        assert body.count(b"\n") <= LONGEST_FILE, name


def test_known_addresses_answer_with_the_page_and_others_do_not(client: httpx.Client) -> None:
    for route in SITE.routes:
        answer = client.get(re.sub(r"{\w+}", "TW92aWU6MQ", route["path"]))
        assert answer.headers["content-type"] == "text/html; charset=utf-8", route
        assert answer.headers["cache-control"] == "no-cache"
        assert "script-src 'self';" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", answer.text)
    for path in ("/nothing", "/index.html", "/movie/", "/movie/1/2", "/static/", "/static/x/main.js"):
        assert client.get(path).status_code == 404, path


def test_files_are_compressed_and_kept_for_ever(client: httpx.Client) -> None:
    (main,) = re.findall(r'<script type="module" src="([^"]+)"', client.get("/").text)
    for coding in ("gzip", "zstd"):
        answer = client.get(main, headers={"Accept-Encoding": coding})
        assert answer.headers["content-encoding"] == coding
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        body = ZstdDecompressor().decompress(answer.content) if coding == "zstd" else answer.content
        assert body == SITE.files["main.js"]
    plain = client.get(main, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    again = client.get(main, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    base = main.rpartition("/")[0]
    for name in ("nothing.js", "routes.json", "../main.js", "%2e%2e/%2e%2e/__init__.py"):
        assert client.get(f"{base}/{name}").status_code == 404, name


def test_a_change_of_a_file_changes_all_addresses() -> None:
    before = files.hash_of({"a.js": b"1", "b.js": b"2"})
    assert files.hash_of({"a.js": b"1", "b.js": b"3"}) != before
    assert files.hash_of({"a.js": b"12", "b.js": b""}) != before


def test_the_documents_are_known_by_their_hashes(client: httpx.Client) -> None:
    home = next(each for each in SITE.documents if each.name == "home")
    answer = client.post("/graphql", json={"documentId": f"sha256:{home.sha256}"}).json()
    assert answer["data"]["home"]["shelves"]


def test_with_trusted_documents_those_of_the_web_app_are_accepted(
    start_server: StartServer, seeded_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trusted = tmp_path_factory.mktemp("trusted") / "documents.json"
    trusted.write_text('{"one": "{ __typename }"}')
    url = start_server(seeded_database_url, TRUSTED_DOCUMENTS=str(trusted)).url
    home = next(each for each in SITE.documents if each.name == "home")
    asked = {"documentId": f"sha256:{home.sha256}"}
    assert httpx.post(f"{url}/graphql", json=asked).json()["data"]["home"]["shelves"]
    refused = httpx.post(f"{url}/graphql", json={"query": "{ viewer { id } }"}).json()
    assert refused["errors"][0]["extensions"]["code"] == "UNTRUSTED_DOCUMENT"


def test_it_can_be_turned_off(start_server: StartServer, database_url: str) -> None:
    url = start_server(database_url, WEB="false").url
    assert httpx.get(url).headers["location"] == "/graphql"
    assert httpx.get(f"{url}/join").status_code == 404
    assert httpx.post(f"{url}/session", json={"action": "refresh"}).status_code == 404
