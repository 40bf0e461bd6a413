"""Authentication of a request: the member or API key that sends it, and the client it is charged to.

The credential is an access token of ours, an access token of the configured issuer (OIDC), or an API key.
With a key of the scope MEMBERS, the header X-Marquee-Member names the member for whom the key acts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import jwt

from app.accounts import access_tokens, acting, api_keys, authentication, external_members, oidc
from app.accounts.access_tokens import Claims
from app.accounts.acting import Acting
from app.accounts.api_keys import ApiKey, Scope
from app.accounts.external_members import MemberMerged
from app.accounts.oidc import Issuer, IssuerUnavailable, TokenSubject
from app.accounts.viewer import Viewer
from app.db.engine import Sessions
from app.recommendations import history
from app.recommendations.history import UserHistory
from app.settings import Settings
from app.web.client import Client
from app.web.rate_limits import Payer
from schema.core.errors import CallerError, ErrorCode

HEADER = "X-Marquee-Member"
RECHECK = timedelta(minutes=1)  # for which a subscription trusts a key that has no session

Actor = Viewer | ApiKey
ReadViewer = Callable[[Sessions, Claims], Awaitable[Viewer | None]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a client: the token or key, and the id of the member for whom the key acts."""

    token: str | None = None
    member: str | None = None

    def check(self) -> None:
        """Raises CallerError for an id of a member that breaks its rule, or that comes without a key."""
        if self.member is None:
            return
        if not external_members.is_external_id(self.member):
            remedy = "Send the member's id in your system, in UTF-8 and in one header."
            raise header_error(external_members.ID_RULE, remedy)
        if self.token is None or not api_keys.is_api_key(self.token):
            code = ErrorCode.UNAUTHENTICATED if self.token is None else ErrorCode.FORBIDDEN
            raise no_scope(code)


def header_error(rule: str, remedy: str, code: ErrorCode = ErrorCode.BAD_USER_INPUT) -> CallerError:
    return CallerError(f"The header {HEADER} {rule}. {remedy}", code, header=HEADER, rule=rule, remedy=remedy)


def no_scope(code: ErrorCode) -> CallerError:
    rule = "needs an API key with the scope MEMBERS"
    remedy = "Send `Authorization: Bearer mq_...` with such a key, or leave the header out."
    return header_error(rule, remedy, code)


@dataclass(slots=True)
class Authentication:
    """The credentials of a request, and what they prove; each is verified and read once."""

    settings: Settings
    sessions: Sessions
    credentials: Credentials
    client: Client
    acting: Acting = field(default_factory=Acting)
    issuer: Issuer | None = None
    _actor: "asyncio.Future[Actor | None] | None" = None
    _key: "asyncio.Future[ApiKey | None] | None" = None
    _claims: Claims | jwt.InvalidTokenError | None = None
    _subject: "asyncio.Future[TokenSubject] | None" = None
    _payer: Payer | None = None

    def renew(self) -> None:
        """Forget what was read, as if the request arrived now."""
        self._actor = self._key = self._claims = self._subject = self._payer = None

    async def actor(self) -> Actor | None:
        """The member or API key of the request, read once; None when signed out.

        Raises CallerError(UNAUTHENTICATED) for a token that is not valid or whose session has ended, and for
        a key that is not valid; and CallerError for a member for whom the key may not act.
        """
        if self._actor is None:
            self._actor = asyncio.ensure_future(self._authenticate())
        return await asyncio.shield(self._actor)

    async def viewer_and_history(
        self, until: datetime | None, *, shown: bool
    ) -> tuple[Viewer | None, UserHistory | None]:
        """The member of the request and the history as of `until`, for which see `history_of`.

        Takes one statement for a member with a session, unless the actor is read already. None for an API key
        and when signed out. Raises as `actor` does.
        """
        found: UserHistory | None = None

        async def read(sessions: Sessions, claims: Claims) -> Viewer | None:
            nonlocal found
            both = await history.viewer_and_history(sessions, claims, until, shown=shown)
            if both is None:
                return None
            viewer, found = both
            return viewer

        self.credentials.check()
        token = self.credentials.token
        if self._actor is None and token and not (api_keys.is_api_key(token) or self._is_of_issuer(token)):
            self._actor = asyncio.ensure_future(self._by_session(read))
        actor = await self.actor()
        if not isinstance(actor, Viewer):
            return None, None
        if found is None:
            found = await history.history_of(self.sessions, actor.id, until, shown=shown)
        return actor, found

    def claims(self) -> Claims:
        """The claims of our access token, verified once a request.

        Raises jwt.InvalidTokenError for a token with another signature or past its expiry.
        """
        if self._claims is None:
            try:
                self._claims = access_tokens.claims_of(self.settings, self.credentials.token or "")
            except jwt.InvalidTokenError as invalid:
                self._claims = invalid
        if isinstance(self._claims, jwt.InvalidTokenError):
            raise self._claims
        return self._claims

    async def payer(self) -> Payer:
        """The client that the operation is charged to: a member, an API key, or a network address.

        Takes one statement for a key, which `actor` needs anyway, and none for a member. A member for whom a
        key acts is not read or made yet. Raises CallerError for a key that may act for no member.
        """
        if self._payer is None:
            self._payer = await self._find_payer()
        return self._payer

    async def _find_payer(self) -> Payer:
        address = Payer(self.client.network)
        token, member = self.credentials.token, self.credentials.member
        if member is not None:
            self.credentials.check()
        if token is None:
            return address
        if api_keys.is_api_key(token):
            key = await self.key()
            return address if key is None else payer_of(key, member)
        try:
            if self._is_of_issuer(token):
                subject = await self.subject(token)
                return Payer(f"member {subject.source}:{subject.external_id}")
            return Payer(f"member {self.claims().user_id}")
        except (jwt.InvalidTokenError, IssuerUnavailable):
            return address

    async def names(self) -> list[str]:
        """The names under which `Replicas` knows the writes of the client; its own is the first."""
        payer = await self.payer()
        names = [payer.client, *([payer.key] if payer.key else [])]
        if isinstance(self._claims, Claims):
            names.append(f"session {self._claims.session_id}")
        return names

    async def key(self) -> ApiKey | None:
        """The API key of the request, read once; None for one that is not valid."""
        if self._key is None:
            assert self.credentials.token is not None
            self._key = asyncio.ensure_future(api_keys.identify(self.sessions, self.credentials.token))
        return await asyncio.shield(self._key)

    async def subject(self, token: str) -> TokenSubject:
        """The subject of a token of the issuer, verified once a request.

        Raises jwt.InvalidTokenError and IssuerUnavailable.
        """
        if self._subject is None:
            assert self.issuer is not None
            self._subject = asyncio.ensure_future(self.issuer.subject_of(token))
        return await asyncio.shield(self._subject)

    async def ends_at(self) -> datetime:
        """The latest time at which a subscription of the viewer must read the credentials again."""
        assert self.credentials.token is not None, "a viewer has one"
        if api_keys.is_api_key(self.credentials.token):
            return datetime.now(UTC) + RECHECK
        if self._is_of_issuer(self.credentials.token):
            return (await self.subject(self.credentials.token)).expires_at
        return self.claims().expires_at

    def _is_of_issuer(self, token: str) -> bool:
        return self.issuer is not None and self.issuer.issued(token)

    async def _authenticate(self) -> Actor | None:
        self.credentials.check()
        token = self.credentials.token
        if token is None:
            return None
        if api_keys.is_api_key(token):
            return await self._by_key()
        if self._is_of_issuer(token):
            return await self._by_issuer(token)
        return await self._by_session()

    async def _by_session(self, read: ReadViewer = authentication.viewer_of) -> Actor | None:
        try:
            viewer = await read(self.sessions, self.claims())
        except jwt.InvalidTokenError:
            viewer = None
        if viewer is None:
            raise CallerError(
                "The access token is not valid or its session has ended.", ErrorCode.UNAUTHENTICATED
            )
        return viewer

    async def _by_issuer(self, token: str) -> Viewer:
        try:
            subject = await self.subject(token)
            member = await external_members.find_or_make_one(
                self.sessions, subject.source, subject.external_id
            )
        except jwt.InvalidTokenError as error:
            message = f"The access token is not valid: {oidc.reason_of(error)}."
            raise CallerError(message, ErrorCode.UNAUTHENTICATED) from None
        except IssuerUnavailable:
            message = "The issuer of the access token does not answer, and its keys are not known; retry."
            raise CallerError(message, ErrorCode.SERVICE_UNAVAILABLE) from None
        except MemberMerged as merged:
            raise CallerError(str(merged), ErrorCode.FORBIDDEN) from None
        return member if subject.role is None else replace(member, role=subject.role)

    async def _by_key(self) -> Actor:
        key, member = await self.key(), self.credentials.member
        if key is None:
            raise CallerError("The API key is not valid.", ErrorCode.UNAUTHENTICATED)
        if member is None:
            return key
        may_act(key)
        try:
            return await acting.viewer_for(self.sessions, self.acting, key, member, self.client.address)
        except MemberMerged as merged:
            raise CallerError(str(merged), ErrorCode.FORBIDDEN, header=HEADER) from None


def payer_of(key: ApiKey, member: str | None) -> Payer:
    name = f"key {key.id}"
    return Payer(name) if member is None else Payer(f"member {may_act(key)}:{member}", name)


def may_act(key: ApiKey) -> str:
    """The source of the members for whom the key acts. Raises CallerError for a key without the scope."""
    if Scope.MEMBERS not in key.scopes or key.source is None:
        raise no_scope(ErrorCode.FORBIDDEN)
    return key.source
