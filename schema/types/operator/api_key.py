"""API keys of services: list, create and revoke."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app.accounts import api_keys
from app.accounts.api_keys import KeyRecord, Scope
from app.accounts.external_members import MAX_SOURCE_LENGTH
from app.accounts.viewer import Role
from schema.core.constraints import DECOMPOSED, GLOBAL_ID, Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.global_ids import local_id, whole_number
from schema.core.outcomes import outcomes
from schema.core.pagination import After, Connection, Edge, First, id_of, page_of, window
from schema.execution.context import Info
from schema.execution.permissions import may, requires

API_KEYS = "apiKeys"


enum_of(
    Scope,
    "ApiScope",
    "The permissions of an API key.",
    {
        Scope.READ: "Read what operators may read.",
        Scope.WRITE: "Add, change and delete movies, as a curator may.",
        Scope.ADMIN: "Operate the service, except for roles and API keys.",
        Scope.MEMBERS: "Act for each member of the key's source, by the header `X-Marquee-Member`, and send "
        "ratings and events of many members at once.",
    },
)


@strawberry.type(description="The API key of a service, sent as `Authorization: Bearer mq_...`.")
class ApiKey(relay.Node):
    id: relay.NodeID[int]
    name: str = strawberry.field(description="What the key is for.")
    beginning: str = strawberry.field(description="The first characters of the key; the rest is not stored.")
    scopes: list[Scope] = strawberry.field(description="The key's permissions.")
    source: str | None = strawberry.field(
        description="The system whose members the key acts for; null without the scope `MEMBERS`."
    )
    created_at: datetime = strawberry.field(description="When the key was created.")
    expires_at: datetime | None = strawberry.field(description="When the key expires; null if never.")
    revoked_at: datetime | None = strawberry.field(
        description="When the key was revoked; null if it was not."
    )
    last_used_at: datetime | None = strawberry.field(description="When the key was last used, to the minute.")

    @classmethod
    def of(cls, record: KeyRecord) -> Self:
        return cls(
            id=record.id,
            name=record.name,
            beginning=record.beginning,
            scopes=list(record.scopes),
            source=record.source,
            created_at=record.created_at,
            expires_at=record.expires_at,
            revoked_at=record.revoked_at,
            last_used_at=record.last_used_at,
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Return keys to administrators only; None for other callers."""
        ids = [whole_number(node_id) for node_id in node_ids]
        if not await may(info.context, Role.ADMIN):
            return [None for _ in ids]
        found = await api_keys.keys_by_id(info.context.sessions, ids)
        return [cls.of(found[id_]) if id_ in found else None for id_ in ids]


@strawberry.type(description="A page of API keys, newest first.")
class ApiKeyConnection(Connection[Edge[ApiKey]]):
    pass


@strawberry.input(description="The key to create.")
class CreateApiKeyInput:
    name: str = strawberry.field(
        directives=[Constraint(max_length=DECOMPOSED * api_keys.MAX_NAME_LENGTH)],
        description="What the key is for, in 1 to 100 characters.",
    )
    scopes: list[Scope] = strawberry.field(
        directives=[Constraint(max_items=len(Scope))], description="The key's permissions, at least one."
    )
    source: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=MAX_SOURCE_LENGTH)],
        description="The name of your system, for a key with the scope `MEMBERS`, which acts for its members "
        "alone: 1 to 64 lower-case letters, digits and `.`, `_`, `-`. Events of a stream with this source "
        "are of the same members.",
    )
    expires_at: datetime | None = strawberry.field(
        default=None,
        description="When the key expires, in UTC unless a time zone is given. By default never.",
    )


@strawberry.input(description="The key to revoke.")
class RevokeApiKeyInput:
    api_key_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The key.")


@strawberry.type(description="The key was created. It is shown only once.")
class CreateApiKeyPayload:
    key: str = strawberry.field(description="Send as `Authorization: Bearer <key>`. Keep it secret.")
    api_key: ApiKey = strawberry.field(description="The stored record of the key.")


@strawberry.type(description="The key was revoked. This takes effect at once in all processes.")
class RevokeApiKeyPayload:
    api_key: ApiKey = strawberry.field(description="The stored record of the key.")


@strawberry.type(description="The requested key breaks a rule.")
class InvalidApiKey(Error):
    pass


@strawberry.type(description="The key does not exist or is already revoked.")
class ApiKeyNotFound(Error):
    pass


CreateApiKeyResult = Annotated[
    CreateApiKeyPayload | InvalidApiKey,
    strawberry.union("CreateApiKeyResult", description="Outcomes of `createApiKey`."),
]
RevokeApiKeyResult = Annotated[
    RevokeApiKeyPayload | ApiKeyNotFound,
    strawberry.union("RevokeApiKeyResult", description="Outcomes of `revokeApiKey`."),
]


@strawberry.type
class ApiKeyQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="All API keys, including expired and revoked ones.",
        extensions=requires(Role.ADMIN, members_only=True),
    )
    async def api_keys(
        self,
        info: Info,
        first: First,
        after: After = None,
    ) -> ApiKeyConnection:
        asked = window(Cursors.of(info, API_KEYS), first, after)
        found = await api_keys.keys(info.context.sessions, asked.count + 1, id_of(asked))
        return page_of(
            ApiKeyConnection,
            asked,
            found,
            lambda record: Edge(cursor=asked.cursors.encode(record.id), node=ApiKey.of(record)),
        )


@strawberry.type
class ApiKeyMutation:
    @strawberry.mutation(
        directives=[Cost(weight=360)],
        description="Create an API key for a service.",
        extensions=requires(Role.ADMIN, members_only=True),
    )
    @outcomes({api_keys.InvalidApiKey: InvalidApiKey})
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="The key.")],  # noqa: A002
    ) -> CreateApiKeyResult:
        viewer = await info.context.require_viewer()
        expires_at = input.expires_at
        if expires_at is not None and expires_at.tzinfo is None:
            expires_at = expires_at.replace(tzinfo=UTC)
        key, record = await api_keys.create(
            info.context.sessions, viewer.id, input.name, set(input.scopes), expires_at, input.source
        )
        return CreateApiKeyPayload(key=key, api_key=ApiKey.of(record))

    @strawberry.mutation(
        directives=[Cost(weight=360)],
        description="Revoke an API key.",
        extensions=requires(Role.ADMIN, members_only=True),
    )
    @outcomes({api_keys.ApiKeyNotFound: ApiKeyNotFound})
    async def revoke_api_key(
        self,
        info: Info,
        input: Annotated[RevokeApiKeyInput, strawberry.argument(description="The key.")],  # noqa: A002
    ) -> RevokeApiKeyResult:
        key_id = local_id(input.api_key_id, "ApiKey", "input.apiKeyId")
        record = await api_keys.revoke(info.context.sessions, key_id)
        return RevokeApiKeyPayload(api_key=ApiKey.of(record))
