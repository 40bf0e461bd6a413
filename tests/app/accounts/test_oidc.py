"""The keys of an OIDC provider: fetched rarely, within limits, and kept while it does not answer."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import ValidationError

from app.accounts import oidc
from app.accounts.oidc import Issuer, IssuerUnavailable, role_in
from app.accounts.viewer import Role
from app.settings import Settings

pytestmark = pytest.mark.anyio

KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("one", "two")}
CLAIMS = {"iss": "", "aud": "marquee", "sub": "u-7", "exp": 4_000_000_000}


class Provider:
    """A provider on loopback that counts the requests for its keys."""

    def __init__(self) -> None:
        self.key_ids = ["one"]
        self.requests: list[str] = []
        self.threads: set[int] = set()
        self.extra: dict[str, Any] = {}
        self.status = 200
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests.append(self.path)
                body = orjson.dumps(provider.answer(self.path))
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> dict[str, Any]:
        if path.endswith("openid-configuration"):
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.extra
        keys = [RSAAlgorithm.to_jwk(KEYS[name].public_key(), as_dict=True) for name in self.key_ids]
        return {
            "keys": [
                {**key, "kid": name, "use": "sig", "alg": "RS256"}
                for key, name in zip(keys, self.key_ids, strict=True)
            ]
        }

    def token(self, key: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
        return jwt.encode({**CLAIMS, "iss": self.url, **claims}, KEYS[key], algorithm, {"kid": key})

    def issuer(self, **settings: Any) -> Issuer:
        given = {"oidc_issuer": self.url, "oidc_audience": "marquee", "secret_key": "s" * 32} | settings
        found = Issuer.of(Settings.model_validate(given))
        assert found is not None
        return found


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    thread.join()


async def test_keys_are_fetched_once(provider: Provider) -> None:
    issuer = provider.issuer()
    for number in range(5):
        subject = await issuer.subject_of(provider.token(sub=f"u-{number}"))
        assert (subject.source, subject.external_id, subject.role) == ("oidc", f"u-{number}", None)
    assert provider.requests == ["/.well-known/openid-configuration", "/keys"]


async def test_unknown_keys_do_not_reach_the_issuer(provider: Provider) -> None:
    issuer = provider.issuer()
    for _ in range(20):
        with pytest.raises(jwt.InvalidTokenError, match="not one of the issuer's"):
            await issuer.subject_of(provider.token("two"))
    assert provider.requests.count("/keys") == 1


async def test_a_new_key_is_found_after_the_cooldown(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "COOLDOWN", 0)
    monkeypatch.setattr(oidc, "RETRY", 0)
    issuer = provider.issuer()
    await issuer.subject_of(provider.token())
    provider.key_ids = ["two"]
    assert (await issuer.subject_of(provider.token("two"))).external_id == "u-7"
    with pytest.raises(jwt.InvalidTokenError):
        await issuer.subject_of(provider.token("one"))


async def test_a_fetch_is_in_a_thread(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    fetch = oidc.answer_of

    def noted(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return fetch(*given)

    monkeypatch.setattr(oidc, "answer_of", noted)
    await provider.issuer().subject_of(provider.token())
    assert threads
    assert threading.get_ident() not in threads


async def test_an_issuer_that_fails_is_asked_rarely(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = provider.issuer()
    provider.status = 500
    for _ in range(10):
        with pytest.raises(IssuerUnavailable):
            await issuer.subject_of(provider.token())
    assert len(provider.requests) == 1
    provider.status = 200
    issuer.keys.tried_at = float("-inf")
    await issuer.subject_of(provider.token())
    # Its last keys are used while it fails again, and no longer than STALE.
    provider.status = 500
    assert issuer.keys.jwk_set_cache is not None
    for outdated in range(3):
        issuer.keys.jwk_set_cache.put(None)
        issuer.keys.tried_at = float("-inf")
        assert (await issuer.subject_of(provider.token())).external_id == "u-7", outdated
    monkeypatch.setattr(oidc, "STALE", -1)
    issuer.keys.jwk_set_cache.put(None)
    with pytest.raises(IssuerUnavailable):
        await issuer.subject_of(provider.token())


@pytest.mark.parametrize(
    "extra", [{"issuer": "https://other.example"}, {"jwks_uri": 5}, {"padding": "x" * 300_000}]
)
async def test_a_wrong_discovery_document_is_refused(provider: Provider, extra: dict[str, Any]) -> None:
    provider.extra = extra
    with pytest.raises(IssuerUnavailable):
        await provider.issuer().subject_of(provider.token())


async def test_the_clocks_may_differ_a_little(provider: Provider) -> None:
    now = int(time.time())
    issuer = provider.issuer()
    await issuer.subject_of(provider.token(exp=now - 30, nbf=now + 30))
    for claims, reason in (
        ({"exp": now - 90}, "it has expired"),
        ({"nbf": now + 90}, "it is not valid yet"),
        ({"iss": "https://other.example"}, "its issuer is not OIDC_ISSUER"),
        ({"aud": "other"}, "its audience is not that of OIDC_AUDIENCE"),
        ({"aud": None}, "it lacks a claim of exp, iss, aud and sub"),
        ({"sub": "x" * 256}, "its subject is not a valid id"),
        ({"sub": "a\n"}, "its subject is not a valid id"),
    ):
        with pytest.raises(jwt.InvalidTokenError) as refused:
            await issuer.subject_of(provider.token(**claims))
        assert oidc.reason_of(refused.value) == reason, claims


async def test_only_named_algorithms_are_the_issuers(provider: Provider) -> None:
    issuer = provider.issuer()
    assert issuer.issued(provider.token())
    assert issuer.issued(provider.token(algorithm="PS256"))
    assert not issuer.issued(provider.token(algorithm="RS384"))
    assert not issuer.issued(jwt.encode(CLAIMS, "s" * 32, "HS256"))
    assert not issuer.issued("nonsense")
    with pytest.raises(jwt.InvalidTokenError):  # the key is for RS256
        await issuer.subject_of(provider.token(algorithm="PS256"))
    other = ec.generate_private_key(ec.SECP256R1())
    assert ECAlgorithm.to_jwk(other.public_key())
    with pytest.raises(jwt.InvalidTokenError):
        await issuer.subject_of(jwt.encode({**CLAIMS, "iss": provider.url}, other, "ES256", {"kid": "one"}))


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"roles": ["ADMIN", "CURATOR"]}, Role.ADMIN),
        ({"roles": "CURATOR"}, Role.CURATOR),
        ({"roles": ["admin", 5, {}, None]}, Role.USER),
        ({}, Role.USER),
        ({"roles": {"ADMIN": True}}, Role.USER),
    ],
)
def test_roles_are_named_exactly(claims: dict[str, Any], role: Role) -> None:
    assert role_in(claims, "roles") is role
    assert role_in({"realm_access": claims}, "realm_access.roles") is role
    assert role_in({"https://example.com/roles": claims.get("roles")}, "https://example.com/roles") is role


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"oidc_issuer": "https://id.example"}, "OIDC_AUDIENCE must be set"),
        ({"oidc_issuer": "http://id.example", "oidc_audience": "m"}, "must be an https address"),
        ({"oidc_algorithms": "RS256,HS256"}, "OIDC_ALGORITHMS may name"),
        ({"oidc_algorithms": "none"}, "OIDC_ALGORITHMS may name"),
        ({"oidc_source": "Own Users"}, "OIDC_SOURCE must have"),
    ],
)
def test_unsound_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(settings)
