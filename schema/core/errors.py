"""The three tiers of errors.

1. Expected outcomes of a mutation are members of its result union and implement `Error`.
2. Look-ups that find nothing are null.
3. Caller faults and outages stand in `errors[]`, with a code. All else is masked, logged and named by an id.
"""

import enum
import logging
import re
from collections.abc import Iterator
from typing import Protocol
from uuid import uuid4

import psycopg.errors
import sqlalchemy.exc
import strawberry
from graphql import ExecutionResult as GraphQLExecutionResult
from graphql import FieldNode, GraphQLError
from graphql.execution import SubsequentIncrementalExecutionResult
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, StreamExecutionResult

log = logging.getLogger("marquee.graphql")

MAX_MESSAGE_LENGTH = 1_000  # characters; a message may quote what was sent
SAME = {"MovieUnknown": "MovieNotFound", "UserNotFound": "MemberNotFound"}  # released under two names


@strawberry.enum(
    description="What kind of fault an error of a request is: `extensions.code` of each of `errors`. New "
    "codes may come; treat an unknown one like `INTERNAL`."
)
class ErrorCode(enum.Enum):
    BAD_USER_INPUT = strawberry.enum_value(
        "BAD_USER_INPUT",
        description="The document, a variable or an argument breaks a rule, which the message names. Sent "
        "again it fails again: mend the request.",
    )
    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED",
        description="There is no access token where one is needed, or it is not valid any more. Get a new "
        "one with `refreshSession` and ask again; if that fails, ask the member to sign in.",
    )
    FORBIDDEN = strawberry.enum_value(
        "FORBIDDEN",
        description="Who asks is known and may not do this; the message names the role or scope it needs. "
        "Do not ask again with the same account or key.",
    )
    RATE_LIMITED = strawberry.enum_value(
        "RATE_LIMITED",
        description="Too much was asked in too short a time. Wait as many seconds as the header "
        "`Retry-After` says and ask again.",
    )
    QUERY_TOO_COMPLEX = strawberry.enum_value(
        "QUERY_TOO_COMPLEX",
        description="The operation is over a limit on its size, depth or cost; the message tells the limit "
        "and what was asked. Ask for less: smaller pages, fewer lists within lists.",
    )
    TIMEOUT = strawberry.enum_value(
        "TIMEOUT",
        description="It took too long and was stopped. A query can be asked again once, and for less; look "
        "at the state before a mutation is sent again.",
    )
    PERSISTED_QUERY_NOT_FOUND = strawberry.enum_value(
        "PERSISTED_QUERY_NOT_FOUND",
        description="No document is known by this hash. Send the hash with the document, as clients with "
        "automatic persisted queries do by themselves.",
    )
    UNTRUSTED_DOCUMENT = strawberry.enum_value(
        "UNTRUSTED_DOCUMENT",
        description="The service answers only the documents that it was set up with, and this is none of "
        "them. Ask for one by its id.",
    )
    OVERLOADED = strawberry.enum_value(
        "OVERLOADED",
        description="More is asked of the service than it can answer in time, and the operation was not "
        "begun, so that a mutation changed nothing. Wait as many seconds as the header `Retry-After` says "
        "and ask again, each time after a longer wait.",
    )
    SERVICE_UNAVAILABLE = strawberry.enum_value(
        "SERVICE_UNAVAILABLE",
        description="The database cannot be reached, or no model is trained yet. Ask again later, each time "
        "after a longer wait.",
    )
    INTERNAL = strawberry.enum_value(
        "INTERNAL",
        description="A fault of ours. `extensions.errorId` names it in the service's log: report it.",
    )

    @property
    def extension(self) -> dict[str, str]:
        return {"code": self.name}


class CallerError(GraphQLError):
    """A fault of the request; its message is for the caller and names the field and the rule.

    `details` stand beside the code, for programs to read.
    """

    def __init__(
        self, message: str, code: ErrorCode = ErrorCode.BAD_USER_INPUT, **details: str | int
    ) -> None:
        super().__init__(message, extensions={**code.extension, **details})


class BadArgument(CallerError):
    """An argument breaks a rule. It is named by its path as the caller wrote it, such as `filter.genres`.

    Where the error is presented, the field's name comes before it, in the message and in `extensions`.
    """

    def __init__(self, argument: str, rule: str) -> None:
        super().__init__(f"{argument} {rule}", argument=argument)
        self.argument, self.rule = argument, rule

    def of_field(self, name: str) -> "BadArgument":
        return BadArgument(f"{name}.{self.argument}", self.rule)


@strawberry.interface(description="An outcome of a mutation that is not a success but was to be expected.")
class Error:
    message: str = strawberry.field(
        description="What is wrong and which rule it breaks, for a person to read."
    )

    @strawberry.field(
        description="What is wrong, for programs: the same code for the same thing in all mutations, such as "
        "`MOVIE_NOT_FOUND`."
    )
    def code(self) -> str:
        return code_of(type(self).__name__)


def code_of(type_name: str) -> str:
    """The code of a type of outcomes."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", SAME.get(type_name, type_name)).upper()


def present(error: GraphQLError) -> GraphQLError:
    """The error as the caller may see it."""
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    # A date beyond the calendar, or a number of thousands of digits: there is no path where a scalar is read.
    unreadable = error.path is None and isinstance(original, OverflowError | ValueError)
    if original is None or isinstance(original, GraphQLError | NotAsked) or unreadable:
        if isinstance(original, BadArgument) and error.nodes:
            (field,) = error.nodes[:1]
            assert isinstance(field, FieldNode)
            original = original.of_field(field.name.value)
            error.message = original.message
        if isinstance(original, CallerError):
            error.extensions = original.extensions
        error.message = cut(error.message)
        # What is left without a code comes from parsing, validation or coercion of the caller's input.
        error.extensions = {**ErrorCode.BAD_USER_INPUT.extension, **(error.extensions or {})}
        return error
    if isinstance(original, sqlalchemy.exc.DBAPIError) and isinstance(
        original.orig, psycopg.errors.QueryCanceled
    ):
        return masked(error, "The request took too long and was stopped.", ErrorCode.TIMEOUT)
    if (outage := outage_of(original)) is not None:
        return masked(error, outage, ErrorCode.SERVICE_UNAVAILABLE, original)
    return masked(error, "Something went wrong on our side.", ErrorCode.INTERNAL, original)


# By the class of Postgres's error code; the first that fits. All else of them is a database out of reach.
CONFLICT = "Other requests change the same rows, so nothing was stored; try again."
OUTAGES: dict[type[psycopg.Error], str] = {
    psycopg.errors.DiskFull: "The disk of the database is full, so nothing was stored; it needs room.",
    psycopg.errors.OutOfMemory: "The database has no memory left for this; try again.",
    psycopg.errors.TooManyConnections: "The database takes no more connections now; try again.",
    psycopg.errors.ReadOnlySqlTransaction: "The database is read-only now, so nothing was stored; try again.",
    psycopg.errors.SerializationFailure: CONFLICT,
    psycopg.errors.DeadlockDetected: CONFLICT,
    psycopg.errors.LockNotAvailable: CONFLICT,
    psycopg.errors.IoError: "The database cannot read or write its disk; its log has the reason.",
    psycopg.OperationalError: "The database cannot be reached; try again.",
}


def outage_of(error: Exception) -> str | None:
    """The message for an error that is an outage of the database; None for another one."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return "All connections to the database are in use; try again."
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    return next((message for kind, message in OUTAGES.items() if isinstance(cause, kind)), None)


def cut(message: str) -> str:
    """A message without the middle of what it quotes at length."""
    half = MAX_MESSAGE_LENGTH // 2
    return message if len(message) <= MAX_MESSAGE_LENGTH else f"{message[:half]} ... {message[-half:]}"


def masked(
    error: GraphQLError, message: str, code: ErrorCode, cause: Exception | None = None
) -> GraphQLError:
    error_id = str(uuid4())
    log.error("%s %s at %s: %s", code.name, error_id, error.path, error.message, exc_info=cause)
    return GraphQLError(
        message,
        nodes=error.nodes,
        path=error.path,
        extensions={**code.extension, "errorId": error_id},
    )


# An operation that the document does not have, or that may not be asked in this way.
NotAsked = CannotGetOperationTypeError | InvalidOperationTypeError


class HasErrors(Protocol):
    errors: list[GraphQLError] | None


class PresentErrors(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        yield
        result = self.execution_context.result
        if isinstance(result, ExecutionResult | GraphQLExecutionResult):
            present_all(result)

    def on_stream_result(self, result: StreamExecutionResult) -> None:  # type: ignore[override]
        """Each result of a stream, and each deferred part of one, on its way out."""
        if isinstance(result, SubsequentIncrementalExecutionResult):
            for part in (*(result.incremental or ()), *(result.completed or ())):
                present_all(part)
        else:
            present_all(result)


def present_all(result: HasErrors) -> None:
    if result.errors:
        result.errors = [present(error) for error in result.errors]
