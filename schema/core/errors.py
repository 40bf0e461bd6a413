"""The three tiers of errors.

1. Expected outcomes of a mutation are members of its result union and implement `Error`.
2. Look-ups that find nothing are null.
3. Caller faults and outages are in `errors[]`, with a code. Other exceptions are masked and logged by an id.
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

MAX_MESSAGE_LENGTH = 1_000  # characters; a message may quote the input
SAME = {"MovieUnknown": "MovieNotFound", "UserNotFound": "MemberNotFound"}  # released under two names


@strawberry.enum(
    description="The kind of an error in `errors`, in its `extensions.code`. New codes may come; treat an "
    "unknown code like `INTERNAL`."
)
class ErrorCode(enum.Enum):
    BAD_USER_INPUT = strawberry.enum_value(
        "BAD_USER_INPUT",
        description="The document, a variable or an argument breaks a rule, which the message names. The "
        "same request fails again; correct it.",
    )
    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED",
        description="The access token is missing where one is required, or is not valid. Get a new one with "
        "`refreshSession` and retry; if that fails, ask the member to sign in.",
    )
    FORBIDDEN = strawberry.enum_value(
        "FORBIDDEN",
        description="The account or key lacks the role or scope that the message names. Do not retry with "
        "the same account or key.",
    )
    RATE_LIMITED = strawberry.enum_value(
        "RATE_LIMITED",
        description="The client is over a rate limit. Retry after the number of seconds in the header "
        "`Retry-After`.",
    )
    QUERY_TOO_COMPLEX = strawberry.enum_value(
        "QUERY_TOO_COMPLEX",
        description="The operation is over a limit of size, depth or cost; the message has the limit and "
        "the operation's value. Request smaller pages or fewer nested lists.",
    )
    TIMEOUT = strawberry.enum_value(
        "TIMEOUT",
        description="The operation took too long and was stopped. Retry a query once, with smaller pages; "
        "check the state before you repeat a mutation.",
    )
    PERSISTED_QUERY_NOT_FOUND = strawberry.enum_value(
        "PERSISTED_QUERY_NOT_FOUND",
        description="No document has this hash. Send the hash together with the document, as clients with "
        "automatic persisted queries do.",
    )
    UNTRUSTED_DOCUMENT = strawberry.enum_value(
        "UNTRUSTED_DOCUMENT",
        description="The service accepts only trusted documents, and this is not one. Send the id of a "
        "trusted document.",
    )
    OVERLOADED = strawberry.enum_value(
        "OVERLOADED",
        description="The service is overloaded and did not begin the operation; a mutation changed "
        "nothing. Retry after the number of seconds in the header `Retry-After`, and wait longer each time.",
    )
    SERVICE_UNAVAILABLE = strawberry.enum_value(
        "SERVICE_UNAVAILABLE",
        description="The database cannot be reached, or no model is trained yet. Retry later, and wait "
        "longer each time.",
    )
    INTERNAL = strawberry.enum_value(
        "INTERNAL",
        description="A fault of the service. Report `extensions.errorId`, which the service's log has too.",
    )

    @property
    def extension(self) -> dict[str, str]:
        return {"code": self.name}


class CallerError(GraphQLError):
    """A fault of the request. The message names the field and the rule.

    `details` are further extensions beside the code.
    """

    def __init__(
        self, message: str, code: ErrorCode = ErrorCode.BAD_USER_INPUT, **details: str | int
    ) -> None:
        super().__init__(message, extensions={**code.extension, **details})


class BadArgument(CallerError):
    """An argument that breaks a rule, named by its path as the caller wrote it, such as `filter.genres`.

    `present` adds the name of the field, in the message and in `extensions`.
    """

    def __init__(self, argument: str, rule: str) -> None:
        super().__init__(f"{argument} {rule}", argument=argument)
        self.argument, self.rule = argument, rule

    def of_field(self, name: str) -> "BadArgument":
        return BadArgument(f"{name}.{self.argument}", self.rule)


@strawberry.interface(description="An expected failure of a mutation.")
class Error:
    message: str = strawberry.field(description="The reason and the rule, for people.")

    @strawberry.field(
        description="The reason, for programs: the same code in all mutations, such as `MOVIE_NOT_FOUND`."
    )
    def code(self) -> str:
        return code_of(type(self).__name__)


def code_of(type_name: str) -> str:
    """The code of an outcome type."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", SAME.get(type_name, type_name)).upper()


def present(error: GraphQLError) -> GraphQLError:
    """Prepare an error for the caller: add its code, or mask it."""
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    # A date beyond the calendar, or a number of thousands of digits; an error of a scalar has no path.
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
        # An error without a code comes from parsing, validation or coercion of the caller's input.
        error.extensions = {**ErrorCode.BAD_USER_INPUT.extension, **(error.extensions or {})}
        return error
    if isinstance(cause_of(original), psycopg.errors.QueryCanceled):
        return masked(error, "The request took too long and was stopped.", ErrorCode.TIMEOUT)
    if (outage := outage_of(original)) is not None:
        return masked(error, outage, ErrorCode.SERVICE_UNAVAILABLE, original)
    return masked(error, "Something went wrong on our side.", ErrorCode.INTERNAL, original)


# By the class of Postgres's error code; the first that fits. Other errors are failed connections.
CONFLICT = "Other requests are changing the same rows. Nothing was stored; retry."
OUTAGES: dict[type[psycopg.Error], str] = {
    psycopg.errors.DiskFull: "The database's disk is full. Nothing was stored; the operator must free space.",
    psycopg.errors.OutOfMemory: "The database is out of memory; retry.",
    psycopg.errors.TooManyConnections: "The database has no free connection; retry.",
    psycopg.errors.ReadOnlySqlTransaction: "The database is read-only. Nothing was stored; retry.",
    psycopg.errors.SerializationFailure: CONFLICT,
    psycopg.errors.DeadlockDetected: CONFLICT,
    psycopg.errors.LockNotAvailable: CONFLICT,
    psycopg.errors.IoError: "The database cannot read or write its disk; its log has the reason.",
    psycopg.OperationalError: "The database cannot be reached; retry.",
}


def outage_of(error: Exception) -> str | None:
    """The message for an outage of the database; None for another error."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return "All connections to the database are in use; retry."
    cause = cause_of(error)
    return next((message for kind, message in OUTAGES.items() if isinstance(cause, kind)), None)


def cause_of(error: Exception) -> BaseException | None:
    """The driver's error, if SQLAlchemy has wrapped it."""
    return error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error


def cut(message: str) -> str:
    """Cut the middle of a long message."""
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


# An operation that the document lacks, or whose kind the transport does not allow.
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
        """Present the errors of each result of a stream, and of each deferred part."""
        if isinstance(result, SubsequentIncrementalExecutionResult):
            for part in (*(result.incremental or ()), *(result.completed or ())):
                present_all(part)
        else:
            present_all(result)


def present_all(result: HasErrors) -> None:
    if result.errors:
        result.errors = [present(error) for error in result.errors]
