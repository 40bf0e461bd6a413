"""A member's sessions: list them, end one, the others or all."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry
from strawberry import relay

from app.accounts import sessions
from app.accounts.sessions import SignIn
from app.accounts.viewer import Role, Viewer
from schema.core.constraints import GLOBAL_ID
from schema.core.directives import Cost
from schema.core.errors import Error
from schema.core.global_ids import InvalidKey, local_key
from schema.core.outcomes import outcomes
from schema.core.pagination import Connection, Edge, Window, moment, page_of, place_of
from schema.execution.context import Info
from schema.execution.permissions import requires

SESSIONS = "sessions"


@strawberry.type(description="A session on one device or in one program.")
class Session(relay.Node):
    id: relay.NodeID[str]
    created_at: datetime = strawberry.field(description="When the session began.")
    last_used_at: datetime = strawberry.field(description="When the session was last refreshed, or began.")
    expires_at: datetime = strawberry.field(description="When the session expires unless it is refreshed.")
    address: str | None = strawberry.field(description="The network address of the log-in.")
    agent: str | None = strawberry.field(description="The user agent of the client.")
    is_current: bool = strawberry.field(description="Whether this request uses the session.")

    @classmethod
    def of(cls, sign_in: SignIn, viewer: Viewer) -> Self:
        return cls(
            id=str(sign_in.id),
            created_at=sign_in.created_at,
            last_used_at=sign_in.refreshed_at or sign_in.created_at,
            expires_at=sign_in.expires_at,
            address=sign_in.address,
            agent=sign_in.agent,
            is_current=sign_in.id == viewer.session_id,
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Return only the viewer's own sessions; None for all others."""
        keys = [session_key(node_id) for node_id in node_ids]
        viewer = await info.context.viewer()
        if viewer is None:
            return [None for _ in keys]
        found = await sessions.sign_ins_by_id(info.context.sessions, viewer.id, keys)
        return [cls.of(found[key], viewer) if key in found else None for key in keys]


@strawberry.type(description="A page of the viewer's sessions, newest first.")
class SessionConnection(Connection[Edge[Session]]):
    @classmethod
    async def of(cls, info: Info, viewer: Viewer, asked: Window) -> Self:
        key = place_of(asked, lambda session_id: UUID(str(session_id)))
        found = await sessions.sign_ins(info.context.sessions, viewer.id, asked.count + 1, key)
        return page_of(
            cls,
            asked,
            found,
            lambda each: Edge(
                cursor=asked.cursors.encode(moment(each.created_at), str(each.id)),
                node=Session.of(each, viewer),
            ),
        )


@strawberry.input(description="The session to end.")
class EndSessionInput:
    session_id: strawberry.ID = strawberry.field(
        directives=[GLOBAL_ID], description="One of the viewer's sessions."
    )


@strawberry.type(description="The session has ended. This takes effect at once in all processes.")
class EndSessionPayload:
    ended_session_id: strawberry.ID = strawberry.field(description="The ended session.")


@strawberry.type(description="The viewer has no such session, or it has ended.")
class SessionNotFound(Error):
    pass


@strawberry.type(description="All other sessions have ended. This takes effect at once in all processes.")
class EndOtherSessionsPayload:
    ended_sessions: int = strawberry.field(description="The number of ended sessions.")


@strawberry.type(description="All sessions have ended. This takes effect at once in all processes.")
class EndAllSessionsPayload:
    ended_sessions: int = strawberry.field(
        description="The number of ended sessions, including the one of this request."
    )


EndOtherSessionsResult = Annotated[
    EndOtherSessionsPayload,
    strawberry.union("EndOtherSessionsResult", description="Outcomes of `endOtherSessions`."),
]
EndAllSessionsResult = Annotated[
    EndAllSessionsPayload,
    strawberry.union("EndAllSessionsResult", description="Outcomes of `endAllSessions`."),
]
EndSessionResult = Annotated[
    EndSessionPayload | SessionNotFound,
    strawberry.union("EndSessionResult", description="Outcomes of `endSession`."),
]


@strawberry.type
class SessionMutation:
    @strawberry.mutation(
        directives=[Cost(weight=250)],
        description="End one of the viewer's sessions, such as one on a lost device.",
        extensions=requires(Role.USER),
    )
    @outcomes({sessions.SessionNotFound: SessionNotFound})
    async def end_session(
        self,
        info: Info,
        input: Annotated[EndSessionInput, strawberry.argument(description="The session.")],  # noqa: A002
    ) -> EndSessionResult:
        viewer = await info.context.require_viewer()
        session_id = local_key(input.session_id, "Session", "input.sessionId", session_key)
        await sessions.end(info.context.sessions, viewer.id, session_id)
        return EndSessionPayload(ended_session_id=input.session_id)

    @strawberry.mutation(
        directives=[Cost(weight=210)],
        description="End all of the viewer's sessions except the one of this request.",
        extensions=requires(Role.USER),
    )
    async def end_other_sessions(self, info: Info) -> EndOtherSessionsResult:
        viewer = await info.context.require_viewer()
        ended = await sessions.end_all(info.context.sessions, viewer.id, but=viewer.session_id)
        return EndOtherSessionsPayload(ended_sessions=ended)

    @strawberry.mutation(
        directives=[Cost(weight=210)],
        description="End all of the viewer's sessions, including the one of this request.",
        extensions=requires(Role.USER),
    )
    async def end_all_sessions(self, info: Info) -> EndAllSessionsResult:
        viewer = await info.context.require_viewer()
        return EndAllSessionsPayload(ended_sessions=await sessions.end_all(info.context.sessions, viewer.id))


def session_key(key: str) -> UUID:
    try:
        return UUID(key)
    except ValueError:
        raise InvalidKey(key) from None
