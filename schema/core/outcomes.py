"""Turn domain exceptions into a mutation's expected outcomes."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from schema.core.errors import CallerError, Error

P = ParamSpec("P")
Result = TypeVar("Result")

# A type of outcomes, which takes the exception's message; or a function of the exception, for an outcome
# with further fields or another message. A CallerError that the function returns is raised.
Outcome = type[Error] | Callable[[Any], Error | CallerError]


def outcomes(
    by_exception: Mapping[type[Exception], Outcome],
) -> Callable[[Callable[P, Awaitable[Result]]], Callable[P, Awaitable[Result]]]:
    """Decorate a resolver so that these exceptions become outcomes in its result.

    The first exception type that fits decides; other exceptions pass. Put the decorator below
    `@strawberry.mutation`: the field's extensions, such as the audit log, then see the outcome.
    """

    def decorate(resolver: Callable[P, Awaitable[Result]]) -> Callable[P, Awaitable[Result]]:
        @wraps(resolver)
        async def resolve(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return await resolver(*args, **kwargs)
            except tuple(by_exception) as error:
                made = next(make for kind, make in by_exception.items() if isinstance(error, kind))
                outcome = made(message=str(error)) if isinstance(made, type) else made(error)
                if isinstance(outcome, CallerError):
                    raise outcome from error
                return outcome

        return resolve

    return decorate
