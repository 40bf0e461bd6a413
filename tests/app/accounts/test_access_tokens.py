"""Access tokens: valid ones are read, all others are refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from app.accounts import access_tokens, authentication
from app.db.engine import Sessions
from app.serving import snapshot
from app.serving.live import ServingState
from app.settings import Settings
from app.web.rate_limits import Payer
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context
from tests.app.accounts.conftest import viewer_of

SECRET_KEY = "a secret of the tests, long enough"
SETTINGS = Settings.model_validate({"secret_key": SECRET_KEY})
NOW = int(datetime.now(UTC).timestamp())
SESSION = str(uuid4())
OURS = {"sub": "7", "sid": SESSION, "iat": NOW, "exp": NOW + 900}
CLAIMS = ("sub", "sid", "iat", "exp", "aud", "nbf", "iss", "jti")

# None of the claims depends on time.
patient = how(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LETTERS = "a7 -\u0667\u00e9"
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(LETTERS, max_size=20)
    | st.sampled_from([NOW + 900, str(NOW + 900), 10**20, 10**400, "7", "-7", "\u0667", " 7", SESSION]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def signed(claims: Any, **header: Any) -> str:
    """A token with our signature over any JSON, which `jwt.encode` would check."""
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, SECRET_KEY, algorithm="HS256", headers=header)


def test_an_issued_token_is_read_back() -> None:
    session_id = uuid4()
    token, expires_at = access_tokens.issue(SETTINGS, 7, session_id)
    assert access_tokens.claims_of(SETTINGS, token) == access_tokens.Claims(7, session_id, expires_at)
    assert len(token) < access_tokens.LONGEST / 2
    assert access_tokens.claims_of(SETTINGS, signed(OURS)).session_id == UUID(SESSION)


@patient
@given(claims=st.dictionaries(st.sampled_from(CLAIMS), anything), without=st.sets(st.sampled_from(CLAIMS)))
def test_a_claim_of_any_type_is_read_or_refused(claims: dict[str, Any], without: set[str]) -> None:
    """Also in a token that is valid except for these claims."""
    odd = {name: value for name, value in {**OURS, **claims}.items() if name not in without}
    try:
        read = access_tokens.claims_of(SETTINGS, signed(odd))
    except jwt.InvalidTokenError:
        return
    assert (str(read.user_id), read.session_id) == (odd["sub"], UUID(odd["sid"]))
    assert type(odd["exp"]) is type(odd["iat"]) is int
    assert read.expires_at.timestamp() == odd["exp"] > NOW
    assert "aud" not in odd


@patient
@given(payload=anything)
def test_a_payload_of_any_type_is_refused(payload: Any) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        access_tokens.claims_of(SETTINGS, signed(payload))


@pytest.mark.parametrize(
    "changed",
    [
        {"sid": 5},
        {"sid": ["x"]},
        {"sid": None},
        {"sid": "no uuid"},
        {"sub": 7},
        {"sub": ["7"]},
        {"sub": "0"},
        {"sub": "9" * 30},
        {"exp": None},
        {"exp": [NOW + 900]},
        {"exp": {}},
        {"exp": str(NOW + 900)},
        {"exp": NOW + 900.5},
        {"exp": True},
        {"exp": 1e300},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**18},
        {"exp": NOW - 1},
        {"iat": []},
        {"iat": "now"},
        {"nbf": {}},
        {"nbf": NOW + 900},
        {"aud": "another service"},
        {"aud": []},
    ],
)
def test_invalid_claims_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        access_tokens.claims_of(SETTINGS, signed({**OURS, **changed}))


def test_invalid_tokens_are_refused() -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    ours = signed(OURS)
    deep = jwt.utils.base64url_encode(b"[" * 700).decode()
    forged = [
        "",
        "not.a.token",
        ours[:-4],
        ours + "." * access_tokens.LONGEST,
        jwt.encode(OURS, "another secret of the same length", algorithm="HS256"),
        jwt.encode(OURS, "", algorithm="none"),
        jwt.encode(OURS, SECRET_KEY.ljust(64), algorithm="HS512"),
        jwt.encode({**OURS, "exp": past}, SECRET_KEY, algorithm="HS256"),
        *(signed({name: OURS[name] for name in OURS if name != left_out}) for left_out in OURS),
        signed(OURS, crit=["x"]),
        "\ud800.\ud800.\ud800",
        f"{deep}.{deep}.x",
    ]
    for token in forged:
        with pytest.raises(jwt.InvalidTokenError):
            access_tokens.claims_of(SETTINGS, token)


def test_a_verified_token_is_refused_after_its_expiry_and_under_another_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token, expires_at = access_tokens.issue(SETTINGS, 7, uuid4())
    for _ in range(2):
        assert access_tokens.claims_of(SETTINGS, token).user_id == 7
    with pytest.raises(jwt.InvalidTokenError):
        access_tokens.claims_of(Settings.model_validate({"secret_key": SECRET_KEY[::-1]}), token)
    monkeypatch.setattr("time.time", expires_at.timestamp)
    with pytest.raises(jwt.ExpiredSignatureError):
        access_tokens.claims_of(SETTINGS, token)


@pytest.mark.anyio
async def test_error_codes_of_invalid_tokens(sessions: Sessions) -> None:
    """Also of a valid token of no member. The client that pays for the request is known."""
    served = ServingState(await snapshot.load(sessions))
    odd = [{**OURS, "sid": 5}, {**OURS, "sub": ["7"]}, {**OURS, "exp": [1]}, OURS, {**OURS, "sub": "9" * 18}]
    for token in [*map(signed, odd), "mq_" + "x" * 10**5]:
        context = Context(SETTINGS, sessions, served, Credentials(token))
        result = await schema.execute("{ viewer { id } }", context_value=context)
        assert [(error.extensions or {})["code"] for error in result.errors or []] == ["UNAUTHENTICATED"]
        assert isinstance(await context.authentication.payer(), Payer)


@pytest.mark.anyio
async def test_a_session_of_another_member_is_refused(sessions: Sessions) -> None:
    tokens = await authentication.sign_up(sessions, SETTINGS, "ada", "a long walk home")
    claims = access_tokens.claims_of(SETTINGS, tokens.access_token)
    other, _ = access_tokens.issue(SETTINGS, claims.user_id + 1, claims.session_id)
    assert await viewer_of(sessions, SETTINGS, other) is None


@pytest.mark.anyio
async def test_a_request_reads_its_token_once(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = await authentication.sign_up(sessions, SETTINGS, "ada", "a long walk home")
    served = ServingState(await snapshot.load(sessions))
    context = Context(SETTINGS, sessions, served, Credentials(tokens.access_token))
    read = []
    claims_of = access_tokens.claims_of

    def counted(settings: Settings, token: str) -> access_tokens.Claims:
        read.append(token)
        return claims_of(settings, token)

    monkeypatch.setattr(access_tokens, "claims_of", counted)
    assert await context.authentication.payer() == Payer(f"member {tokens.viewer.id}")
    assert await context.viewer() == tokens.viewer
    assert len(read) == 1
    context.renew()
    assert await context.viewer() == tokens.viewer
    assert len(read) == 2
