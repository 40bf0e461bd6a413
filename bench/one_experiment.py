"""Run an experiment between the hybrid and the nearest users, from the plan to activation and rollback.

    python -m bench.one_experiment --html report.html --page docs/bench/one_experiment.md

It starts a service with the bundled catalog and its simulated members. They look at lists and home pages, and
click on movies by the taste from which their ratings are drawn. So the better model earns more clicks. The
operator uses commands alone; the page shows their outputs.
"""

import argparse
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psycopg

from app.cli.database import local_secret
from app.settings import Settings
from bench.figures import ROOT, commit
from bench.live.observe import BEGIN_SESSION
from bench.live.viewers import Viewers, affinities
from bench.processes.start_service import PROGRAM, Service, started
from seeds import simulator

NAME = "hybrid-or-knn"
BEFORE, DURING = 3, 5  # visits of each member before the experiment, for the plan and for CUPED, and in it
ATTEMPTS, WAIT_SECONDS = 120, 1.0  # until the service has loaded the model of the arm
MEMBERS = "SELECT username, id FROM users WHERE simulated ORDER BY random() LIMIT %s"
VERSIONS = "SELECT version FROM model_versions ORDER BY trained_at DESC LIMIT 1"
ACTIVE = "SELECT version FROM model_versions WHERE status = 'ACTIVE'"
REFUSED = 3  # status of `marquee train --activate-if-better`
WIDTH = "100"


@dataclass(slots=True)
class Operator:
    """An operator who runs commands on the data of a service. `outputs`: what they printed."""

    service: Service
    outputs: list[str] = field(default_factory=list)

    def run(self, *arguments: str, statuses: tuple[int, ...] = (0,)) -> str:
        """Run `marquee` and keep the output. Raises RuntimeError for another status."""
        environment = {**self.service.environment, "COLUMNS": WIDTH, "NO_COLOR": "1"}
        ended = subprocess.run(  # noqa: S603 - our own command
            [*PROGRAM, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode not in statuses:
            raise RuntimeError(f"marquee {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        status = f"\n(status {ended.returncode})" if ended.returncode else ""
        output = (ended.stdout + (ended.stderr if ended.returncode else "")).strip()
        self.outputs.append(f"    $ marquee {' '.join(arguments)}\n{indented(output + status)}")
        print(self.outputs[-1], flush=True)  # noqa: T201 - the progress
        return ended.stdout

    def note(self, text: str) -> None:
        self.outputs.append(text)
        print(text, flush=True)  # noqa: T201 - the progress

    def one(self, query: str) -> str:
        with psycopg.connect(address_of(self.service)) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return str(row[0])


def indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def address_of(service: Service) -> str:
    """The address of the embedded Postgres of the service."""
    pid = next(Path(service.environment["DATA_DIR"]).rglob("postmaster.pid"))
    lines = pid.read_text().splitlines()
    return f"postgresql://postgres@/postgres?host={lines[4]}&port={lines[3]}"


def begun(service: Service, count: int) -> Viewers:
    """Simulated members with sessions."""
    data = Path(service.environment["DATA_DIR"])
    settings = Settings.model_validate({"secret_key": local_secret(data), "data_dir": data})
    viewers = Viewers(service.url, address_of(service), settings, simulator.MEMBERS, 1.0)
    with psycopg.connect(address_of(service)) as connection:
        for username, user_id in connection.execute(MEMBERS, (count,)).fetchall():
            session_id = uuid4()
            connection.execute(BEGIN_SESSION, (session_id, user_id))
            viewers.sessions[int(username.rpartition("-")[2])] = (user_id, session_id)
    return viewers


def visit_all(viewers: Viewers, taste: Any, columns: Any, times: int) -> None:
    """Let each member visit `times` times: lists and home pages by turns, in random order."""
    members = list(viewers.sessions)
    rng = np.random.default_rng(3)
    with httpx.Client(timeout=60) as http:
        for turn in range(times):
            for place in rng.permutation(len(members)).tolist():
                member = members[place]
                viewers.visit(http, member, taste[member - 1], columns, home=bool((turn + place) % 2))


def wait_for_arms(viewers: Viewers, taste: Any, columns: Any) -> None:
    """Visit until some member has each arm. Raises RuntimeError if an arm is never served."""
    seen: set[str | None] = set()
    with httpx.Client(timeout=60) as http:
        for attempt in range(ATTEMPTS):
            members = list(viewers.sessions)[:16]
            seen = {viewers.visit(http, member, taste[member - 1], columns) for member in members}
            if {f"{NAME}/hybrid", f"{NAME}/knn"} <= seen:
                return
            time.sleep(WAIT_SECONDS if attempt else 0)
    raise RuntimeError(f"the lists have only these arms: {seen}")


def play(service: Service, members: int, html: Path) -> Iterator[str]:
    """Plan, run and read the experiment, activate the other model and roll back; yield the page."""
    operator, viewers = Operator(service), begun(service, members)
    taste, columns = affinities(simulator.MEMBERS)
    hybrid = operator.one(ACTIVE)
    operator.note("## A candidate that is worse is refused")
    operator.run("train", "--model", "popularity", "--activate-if-better", statuses=(REFUSED,))
    operator.note("## The other arm")
    operator.run("train", "--model", "user-knn", "--activate-if-better", statuses=(0, REFUSED))
    knn = operator.one(VERSIONS)
    if operator.one(ACTIVE) != hybrid:
        operator.run("models", "activate", hybrid)
    operator.run("models", "show", knn)
    operator.note(f"## The plan\n\n{members:,} members visit {BEFORE} times each.")
    visit_all(viewers, taste, columns, BEFORE)
    operator.run("experiment", "plan", "--metric", "CLICK_RATE", "--lift", "0.1", "--days", "1")
    operator.note(f"## The experiment\n\nThey visit {DURING} times each: lists and home pages by turns.")
    arms = ("--arm", "hybrid=0.5", "--arm", f"knn=0.5,model={knn}")
    operator.run("experiment", "start", NAME, *arms, "--days", "1")
    wait_for_arms(viewers, taste, columns)
    visit_all(viewers, taste, columns, DURING)
    time.sleep(5)  # lists are recorded within seconds
    operator.run("experiment", "report", NAME, "--html", str(html))
    operator.run("experiment", "stop", NAME)
    operator.run("experiment", "list")
    operator.note("## Activation and rollback")
    operator.run("models", "activate", knn)
    operator.run("models", "list")
    operator.run("models", "rollback")
    operator.run("models", "list")
    yield "# One experiment, from the plan to the rollback"
    yield f"Written by `python -m bench.one_experiment --members {members}` at commit `{commit()}`."
    yield from operator.outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=800, help="members who visit")
    parser.add_argument("--html", type=Path, required=True, help="the report as one HTML page")
    parser.add_argument("--page", type=Path, help="write the page; default: print only the progress")
    given = parser.parse_args()
    with started() as service:
        text = "\n\n".join(play(service, given.members, given.html)) + "\n"
    if given.page is not None:
        given.page.write_text(text)


if __name__ == "__main__":
    main()
