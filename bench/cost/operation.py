"""One operation of the benchmark: its document, and how its requests are prepared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.cost.accounts import Member, Rig

Variables = dict[str, Any]
PAGE = 100


@dataclass(frozen=True, slots=True)
class Request:
    """The variables of one request, and the member who sends it; None for a signed-out client."""

    variables: Variables = field(default_factory=dict)
    member: Member | None = None


MakeRequest = Callable[[Rig], Request]


@dataclass(frozen=True, slots=True)
class Operation:
    """make: prepares one request, outside of the measured time.

    times: the maximum number of requests; small where preparation is slow or a request affects the next.
    """

    document: str
    make: MakeRequest = lambda _: Request()
    times: int = 40
    streams: bool = False
    trigger: str = ""  # the document of another request, which causes the first event of the stream


def as_member(**variables: Any) -> MakeRequest:
    return lambda rig: Request(variables, rig.member)


def as_admin(**variables: Any) -> MakeRequest:
    return lambda rig: Request(variables, rig.admin)


def as_new_member(**variables: Any) -> MakeRequest:
    """Each request is sent by another new member."""
    return lambda rig: Request(variables, rig.sign_up())


def signed_out(**variables: Any) -> MakeRequest:
    return lambda _: Request(variables)


def with_input(make: Callable[[Rig], Variables], member: Callable[[Rig], Member | None]) -> MakeRequest:
    return lambda rig: Request({"i": make(rig)}, member(rig))


def the_member(rig: Rig) -> Member:
    return rig.member


def the_admin(rig: Rig) -> Member:
    return rig.admin
