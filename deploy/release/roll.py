"""From a migration over a canary to all servers, or back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from balancer import Balancer
from commands import ReleaseFailed, Shell
from watch import Prometheus, Rule

POLL_SECONDS = 0.5
NOTICE_SECONDS = 1.5  # in which the balancer has noticed that a process stopped


@dataclass(frozen=True, slots=True)
class Plan:
    """`servers`: the instance in Prometheus of each server of the balancer. The first one is the canary.

    `migrate` and `start` are lines of the shell. `start` stops the process of RELEASE_SERVER, as SIGTERM
    does, and starts it with RELEASE_VERSION. Times in seconds; `share` in percent.
    """

    version: str
    former: str
    servers: dict[str, str]
    migrate: str
    start: str
    share: float
    watch: float
    every: float
    up: float


@dataclass(slots=True)
class Roll:
    shell: Shell
    plan: Plan
    balancer: Balancer
    prometheus: Prometheus
    rules: list[Rule]
    changed: list[str] = field(default_factory=list)  # servers that have, or may have, the new version

    def run(self) -> None:
        """Roll forward. Raises ReleaseFailed once the former version serves again everywhere.

        The migration stays: the former version works with it.
        """
        plan = self.plan
        canary, *others = plan.servers
        self.shell.say(f"1. Migrate to {plan.version}")
        self.shell.run(plan.migrate, RELEASE_VERSION=plan.version)
        try:
            self.shell.say(f"2. Canary: {canary}, {plan.share:g} % of the requests")
            self._online(partial(self.balancer.share, canary, plan.share, others))
            self._start(canary, plan.version)
            self._watch(canary)
            self.shell.say(f"3. Forward: {', '.join(plan.servers)}")
            self._online(partial(self.balancer.spread, [*plan.servers]))
            for server in others:
                self._start(server, plan.version)
            for server in plan.servers:
                self._watch(server)
        except (ReleaseFailed, KeyboardInterrupt) as error:
            self._back(str(error) or "interrupted")
            raise ReleaseFailed(f"Rolled back to {plan.former}: {error or 'interrupted'}") from None
        self.shell.say(f"{plan.version} serves on {', '.join(plan.servers)}")

    def _back(self, reason: str) -> None:
        """Take the servers with the new version out, and start them with the former one."""
        self.shell.say(f"Back to {self.plan.former}: {reason}")
        kept = [server for server in self.plan.servers if server not in self.changed]
        failed = []
        for server in self.changed:
            try:
                if kept:
                    self._online(partial(self.balancer.share, server, 0, kept))
                self._start(server, self.plan.former)
                kept.append(server)
            except ReleaseFailed as error:
                failed.append(str(error))
        self._online(partial(self.balancer.spread, [*self.plan.servers]))
        if failed:
            raise ReleaseFailed(f"{reason} The rollback failed too: {' '.join(failed)}")

    def _start(self, server: str, version: str) -> None:
        """Start a version on a server and wait until the balancer sends it requests."""
        if version == self.plan.version:
            self.changed.append(server)
        self.shell.run(self.plan.start, RELEASE_SERVER=server, RELEASE_VERSION=version)
        deadline = time.monotonic() + self.plan.up
        if not self.shell.dry_run:
            time.sleep(NOTICE_SECONDS)
        while not self.shell.dry_run and not self.balancer.is_up(server):
            if time.monotonic() > deadline:
                raise ReleaseFailed(f"{server} is not ready {self.plan.up:g} s after the start of {version}.")
            time.sleep(POLL_SECONDS)

    def _watch(self, server: str) -> None:
        """Look at the rules again and again. Raises ReleaseFailed for one that does not hold."""
        plan = self.plan
        self.shell.say(f"watch {server} for {plan.watch:g} s by {len(self.rules)} rules")
        began = time.monotonic()
        while not self.shell.dry_run:
            time.sleep(plan.every)
            seconds = time.monotonic() - began
            if not self.balancer.is_up(server):
                raise ReleaseFailed(f"{server} is not ready any longer.")
            for rule in self.rules:
                broken = self.prometheus.broken(
                    rule, server, plan.servers[server], max(1, round(seconds)), at_end=seconds >= plan.watch
                )
                if broken is not None:
                    raise ReleaseFailed(f"{server}: {broken}")
            if seconds >= plan.watch:
                return

    def _online(self, change: Callable[[], None]) -> None:
        if not self.shell.dry_run:
            change()
