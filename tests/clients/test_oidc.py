"""Members of an OIDC provider: `oidc-provider` of npm on loopback, with the authorization code flow."""

import base64
import hashlib
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.clients.conftest import FOLDER
from tests.schema.http.conftest import open_socket
from tests.services import Service, StartServer

pytestmark = pytest.mark.usefixtures("packages")

API, OTHER_API = "https://marquee.example", "https://other.example"
REDIRECT = "http://127.0.0.1/callback"
VIEWER = "{ viewer { username } }"
AUDIT = "{ auditLog(first: 1) { edges { cursor } } }"


@contextmanager
def provider(key_id: str, port: int = 0) -> Iterator[str]:
    """The address of a provider whose keys are new."""
    command = ["node", str(FOLDER / "oidc-provider.mjs"), key_id, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "the provider did not start"
        yield address
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def sign_in(issuer: str, name: str, resource: str = API) -> dict[str, Any]:
    """The tokens of a user who signs in at the provider's pages."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "client_id": "front",
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": REDIRECT,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        "resource": resource,
    }
    with httpx.Client(timeout=30) as browser:
        page = browser.get(f"{issuer}/auth", params=asked)
        while True:
            while page.is_redirect:
                place = urljoin(str(page.url), page.headers["location"])
                if place.startswith(REDIRECT):
                    (code,) = parse_qs(urlsplit(place).query)["code"]
                    given = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
                    given |= {name: asked[name] for name in ("redirect_uri", "client_id", "resource")}
                    tokens: dict[str, Any] = browser.post(f"{issuer}/token", data=given).json()
                    return tokens
                page = browser.get(place)
            action = re.search(r'action="([^"]+)"', page.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
            assert action is not None, page.text
            assert prompt is not None, page.text
            page = browser.post(action[1], data={"prompt": prompt[1], "login": name, "password": "any"})


@dataclass(frozen=True, slots=True)
class Shop:
    """A service whose members sign in at a provider."""

    issuer: str
    service: Service

    def ask(self, token: str, query: str = VIEWER) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{self.service.url}/graphql", json={"query": query}, headers=headers, timeout=30)
        return answer.json()

    def refusal(self, token: str, query: str = VIEWER) -> tuple[str, str]:
        (error,) = self.ask(token, query)["errors"]
        return error["extensions"]["code"], error["message"]


def service_of(start_server: StartServer, database_url: str, issuer: str, **more: str) -> Shop:
    settings = {"OIDC_ISSUER": issuer, "OIDC_AUDIENCE": "marquee", "OIDC_ROLES_CLAIM": "realm_access.roles"}
    return Shop(issuer, start_server(database_url, **settings, **more))


def test_users_of_a_provider_are_members(database_url: str, start_server: StartServer) -> None:
    with provider("key-1") as issuer:
        shop = service_of(start_server, database_url, issuer)
        tokens = sign_in(issuer, "u-7")
        name = shop.ask(tokens["access_token"])["data"]["viewer"]["username"]
        assert name.startswith("external:")
        assert shop.ask(sign_in(issuer, "u-7")["access_token"])["data"]["viewer"]["username"] == name
        assert shop.ask(sign_in(issuer, "u-8")["access_token"])["data"]["viewer"]["username"] != name
        # A role is of the token, not of the member.
        assert shop.refusal(tokens["access_token"], AUDIT)[0] == "FORBIDDEN"
        boss = sign_in(issuer, "boss")["access_token"]
        assert shop.ask(boss, AUDIT)["data"] == {"auditLog": {"edges": []}}
        # A token of the provider for its client, or for another service, is not one for this service.
        for other in (tokens["id_token"], sign_in(issuer, "u-7", OTHER_API)["access_token"]):
            code, message = shop.refusal(other)
            assert code == "UNAUTHENTICATED"
            assert "its audience is not that of OIDC_AUDIENCE" in message
        forged_tokens(shop, tokens["access_token"])
        payload = {"Authorization": f"Bearer {boss}"}
        with open_socket(f"{shop.service.url}/graphql", payload) as socket:
            socket.send("subscribe", "1", {"query": VIEWER})
            assert socket.receive()["payload"]["data"]["viewer"]["username"].startswith("external:")


def forged_tokens(shop: Shop, token: str) -> None:
    """Tokens that others sign, with the claims of a valid one."""
    claims = jwt.decode(token, options={"verify_signature": False})
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = httpx.get(f"{shop.issuer}/jwks").json()["keys"]
    public = jwt.PyJWK.from_dict(keys[0]).key
    headers = {"kid": "key-1"}
    forged = [
        jwt.encode(claims, own, "RS256", headers),
        jwt.encode(claims, own, "RS256", {"kid": "unknown"}),
        jwt.encode(claims, own, "RS256"),
        jwt.encode(claims, "", "none", headers),
        jwt.encode(claims, public_numbers(public), "HS256", headers),
        f"{token[:-8]}AAAAAAAA",
        f"{token}x" * 10,
    ]
    for each in forged:
        assert shop.refusal(each)[0] == "UNAUTHENTICATED"


def public_numbers(public: Any) -> str:
    """A secret that everyone knows."""
    return str(public.public_numbers().n)


def test_new_keys_are_found_and_old_ones_end(database_url: str, start_server: StartServer) -> None:
    """Without the provider, the last keys remain in use."""
    with provider("key-1") as issuer:
        shop = service_of(start_server, database_url, issuer)
        before = sign_in(issuer, "u-7")["access_token"]
        name = shop.ask(before)["data"]["viewer"]["username"]
    assert shop.ask(before)["data"]["viewer"]["username"] == name
    port = urlsplit(issuer).port
    assert port is not None
    with provider("key-2", port):
        after = sign_in(issuer, "u-7")["access_token"]
        other = service_of(start_server, database_url, issuer)  # of the same members
        assert other.ask(after)["data"]["viewer"]["username"] == name
        assert other.refusal(before)[0] == "UNAUTHENTICATED"


def test_a_provider_that_does_not_answer_is_an_outage(database_url: str, start_server: StartServer) -> None:
    with provider("key-1") as issuer:
        token = sign_in(issuer, "u-7")["access_token"]
    shop = service_of(start_server, database_url, issuer)
    codes = {shop.refusal(token)[0] for _ in range(5)}
    assert codes == {"SERVICE_UNAVAILABLE"}
    assert shop.service.log.read_text().count("cannot read the keys of OIDC_ISSUER") == 1
    ours = httpx.post(f"{shop.service.url}/graphql", json={"query": "{ genres { name } }"}).json()
    assert "errors" not in ours
