"""Measure the processor time of the usual requests, in the service and in its Postgres.

    python -m bench.serve.requests [--only TEXT] [--json FILE]

Starts a service on the bundled catalog without rate limits. A member with 100 ratings sends each request in
bursts; the figure is the mean of the burst that took the least, so that other work on the machine counts
little. Processor time only: clock time says nothing on a shared machine.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cost.__main__ import UNLIMITED, grown, processor_time
from bench.cost.accounts import Member, Rig, global_id, history_file
from bench.figures import Figure, write
from bench.processes.start_service import started

RATINGS = 100
WARM_UPS, BURSTS = 20, 5
BURST_SECONDS = 1.0
DATA = f"the bundled catalog; a member with {RATINGS} ratings"

CARD = "id title year posterUrl ratingCount averageRating genres{id name}"
REASONS = "matchPercent predictedRating{stars} reasons{text}"
LIST = "{recommendations(first:20,diversity:0.2){requestId edges{rank score %s node{%s}}}}"
SHELVES = "{home(shelves:8,perShelf:24){requestId shelves{title movies(first:24){edges{%s node{%s}}}}}}"
SEARCH = "query($q:String!){search(query:$q,first:20){edges{score node{%s}}}}"
MOVIE = "query($id:ID!){movie(id:$id){%s overview similar(first:12){edges{similarity node{%s}}}}}"
RATE = "mutation($i:RateMovieInput!){rateMovie(input:$i){... on RateMoviePayload{rating{stars}}}}"

Variables = Callable[[int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Request:
    """`variables` of the nth request. `member`: whether the member sends it."""

    document: str
    variables: Variables = lambda _: {}
    member: bool = True


def movie(number: int) -> str:
    return global_id("Movie", 1 + number * 7 % 400)


TYPED = ("dar", "godf", "matri", "star wa", "lord of", "toy st", "pulp f", "alien")
MISSED = "samurai defend a village"

REQUESTS = {
    "{ __typename }": Request("{__typename}", member=False),
    "{ viewer { username } }": Request("{viewer{username}}"),
    "page of 20 cards": Request(f"{{movies(first:20){{edges{{node{{{CARD}}}}}}}}}", member=False),
    "list of 20": Request(LIST % ("", CARD)),
    "list of 20 with reasons": Request(LIST % (REASONS, CARD)),
    "movie and 12 similar": Request(MOVIE % (CARD, CARD), lambda n: {"id": movie(n)}, member=False),
    "rateMovie": Request(RATE, lambda n: {"i": {"movieId": movie(n % 50), "stars": 3 + n % 5 / 2}}),
    "Home, 8 x 24": Request(SHELVES % ("", CARD)),
    "Home, 8 x 24 with reasons": Request(SHELVES % (REASONS, CARD)),
    "search while typing": Request(SEARCH % CARD, lambda n: {"q": TYPED[n % len(TYPED)]}, member=False),
    "search of words that no title has": Request(SEARCH % CARD, lambda _: {"q": MISSED}, member=False),
}


@dataclass(frozen=True, slots=True)
class Spent:
    """Microseconds of processor time that one request takes in the service and in Postgres."""

    service: float
    postgres: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="measure only requests whose name contains this text")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = []
    with started(**UNLIMITED) as service:
        rig = Rig(service)
        member = member_with_history(rig)
        print("| request | service us | Postgres us |\n|---|---|---|")  # noqa: T201 - it is a command
        for name, request in REQUESTS.items():
            if options.only not in name:
                continue
            spent = measured(rig, request, member if request.member else None)
            figures += [
                Figure(f"{name}/service", spent.service, "us"),
                Figure(f"{name}/postgres", spent.postgres, "us"),
            ]
            print(f"| {name} | {spent.service:,.0f} | {spent.postgres:,.0f} |", flush=True)  # noqa: T201 - it is a command
    if options.json:
        write(options.json, DATA, figures)


def member_with_history(rig: Rig) -> Member:
    """A new member with RATINGS ratings, of different movies."""
    member = rig.sign_up()
    query = "mutation($i:ImportRatingsInput!){importRatings(input:$i){__typename}}"
    file = {"csv": history_file(rig.titles, RATINGS), "source": "LETTERBOXD"}
    answer = rig.client.post(query, {"i": file}, member)
    assert answer["data"]["importRatings"]["__typename"].endswith("Payload"), answer
    return member


def measured(rig: Rig, request: Request, member: Member | None) -> Spent:
    """The mean of the burst that took the least in the service, and of that which took the least in Postgres.

    Raises AssertionError for a request that fails.
    """
    began = time.perf_counter()
    for number in range(WARM_UPS):
        answer = rig.client.post(request.document, request.variables(number), member)
        assert "errors" not in answer, answer["errors"]
    times = max(10, min(300, int(BURST_SECONDS * WARM_UPS / (time.perf_counter() - began))))
    bursts = []
    for _ in range(BURSTS):
        before = processor_time(rig.service)
        for number in range(times):
            rig.client.post(request.document, request.variables(number), member)
        after = processor_time(rig.service)
        bursts.append([grown(*both) / 1_000 / times for both in zip(before, after, strict=True)])
    return Spent(*(min(column) for column in zip(*bursts, strict=True)))


if __name__ == "__main__":
    main()
