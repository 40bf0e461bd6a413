"""Field permissions and the audit log of operator mutations.

`requires` declares the permission at the field. A field without it is public, or returns only the viewer's
own data.
"""

import dataclasses
import enum
from inspect import isasyncgen, isawaitable
from typing import Any

from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types.field import StrawberryField

from app.accounts import audit_log
from app.accounts.api_keys import ApiKey, Scope
from app.accounts.viewer import Role, Viewer
from schema.core.errors import CallerError, ErrorCode
from schema.execution.context import Context, Info

RANK = {Role.USER: 0, Role.CURATOR: 1, Role.ADMIN: 2}
SCOPES = {Role.USER: None, Role.CURATOR: Scope.WRITE, Role.ADMIN: Scope.ADMIN}
SECRETS = ("password", "token", "secret", "code", "jsonl")  # rows name members
LONGEST_NOTED = 500  # characters of one argument
MOST_NOTED = 100  # items of a list; of a longer one the first are noted
FIRST_NOTED = 10

Actor = Viewer | ApiKey


class Requires(FieldExtension):
    """Admit members of a role or above, and API keys with the scope; without a role, only API keys."""

    def __init__(self, role: Role | None, scope: Scope | None, *, noted_for_keys: bool = False) -> None:
        self.role = role
        self.scope = scope
        self.noted_for_keys = noted_for_keys
        needs = "Needs a member, signed in" if role is Role.USER else f"Needs the role {role}"
        self.need = f"{needs}{'' if scope is None else f', or an API key with the scope {scope}'}."
        if role is None:
            self.need = f"Needs an API key with the scope {scope}."

    def apply(self, field: StrawberryField) -> None:
        if self.need not in (field.description or ""):
            field.description = f"{field.description} {self.need}"

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any
    ) -> Any:
        actor = await self.admit(info.context)
        arguments = self.noted_arguments(actor, info, kwargs)
        if arguments is None:
            return await finished(next_(source, info, **kwargs))
        # Noted first, so that no action runs that the audit log cannot hold.
        context = info.context
        entry = audit_log.Act(info.field_name, arguments, context.client.address)
        entry_id = await audit_log.begin(context.sessions, actor, entry)
        try:
            result = await finished(next_(source, info, **kwargs))
        except Exception as error:
            await audit_log.end(context.sessions, entry_id, outcome_of(error))
            raise
        await audit_log.end(context.sessions, entry_id, type(result).__name__)
        return result

    def noted_arguments(self, actor: Actor, info: Info, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments that the audit log notes; None for an act that it does not note.

        It notes what keys and operators do, and of what a key does for a member that which the field marks,
        by the member's name alone.
        """
        if isinstance(actor, Viewer) and actor.key_id is not None:
            return {"input": {"username": actor.username}} if self.noted_for_keys else None
        by_operator = isinstance(actor, ApiKey) or self.role is not Role.USER
        return noted(arguments) if by_operator and info.path.typename == "Mutation" else None

    async def admit(self, context: Context) -> Actor:
        """The member or API key, if it has the permission; raises CallerError otherwise."""
        actor = await context.actor()
        match actor:
            case Viewer(role=role) if self.role is not None and RANK[role] >= RANK[self.role]:
                return actor
            case ApiKey(scopes=scopes) if self.scope in scopes:
                return actor
            case None if self.role is Role.USER:
                return await context.require_viewer()
            case None:
                raise CallerError(f"Sign in first. {self.need}", ErrorCode.UNAUTHENTICATED)
        raise CallerError(self.need, ErrorCode.FORBIDDEN)


def requires(
    role: Role, scope: Scope | None = None, *, members_only: bool = False, noted_for_keys: bool = False
) -> list[FieldExtension]:
    """The `extensions=` of a field. By default, API keys need the scope WRITE for a curator's field and ADMIN
    for an administrator's.

    The audit log notes each call of such a mutation, with its arguments and its outcome. `noted_for_keys`: it
    also notes each call of a key that acts for a member.
    """
    return [Requires(role, None if members_only else scope or SCOPES[role], noted_for_keys=noted_for_keys)]


def requires_key(scope: Scope) -> list[FieldExtension]:
    """The `extensions=` of a field for API keys with the scope alone. The audit log notes its mutations."""
    return [Requires(None, scope)]


async def may(context: Context, role: Role, scope: Scope | None = None) -> bool:
    """Whether the actor has the role or the scope, for a field that is null or partial without it."""
    try:
        await Requires(role, scope).admit(context)
    except CallerError:
        return False
    return True


async def finished(result: Any) -> Any:
    """Await the value of a resolver; return a subscription's stream unchanged."""
    return await result if isawaitable(result) and not isasyncgen(result) else result


def outcome_of(error: Exception) -> str:
    code = error.extensions.get("code") if isinstance(error, CallerError) and error.extensions else None
    return str(code or type(error).__name__)


def noted(value: Any, name: str = "") -> Any:
    """Arguments as plain values for the audit log, without nulls and secrets."""
    if any(secret in name.lower() for secret in SECRETS):
        return "(not noted)"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        parts = {key: noted(part, key) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not None}
    if isinstance(value, list):
        shown = value if len(value) <= MOST_NOTED else value[:FIRST_NOTED]
        rest = [f"and {len(value) - len(shown):,} more"] if len(shown) < len(value) else []
        return [*(noted(part, name) for part in shown), *rest]
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, bool | int | float):
        return value
    # Postgres keeps neither NUL nor half a character.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)[:LONGEST_NOTED])
