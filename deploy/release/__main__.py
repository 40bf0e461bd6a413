"""Release a version: from a commit to a signed image, and from a canary to all servers or back.

    python3 deploy/release build --image NAME [--push] [--strict] [--dry-run]
    python3 deploy/release roll --version NEW --former OLD --server NAME=INSTANCE... [--dry-run]

It needs Python 3.11 and nothing else. docs/release.md describes it.
"""

import argparse
import sys
from pathlib import Path

from balancer import Balancer
from commands import ReleaseFailed, Shell
from image import Build, build
from roll import Plan, Roll
from watch import RULES, Prometheus, rules_of


def main() -> int:
    options = parser().parse_args()
    shell = Shell(options.dry_run, getattr(options, "strict", False))
    try:
        if options.step == "build":
            shell.say(build(shell, Build(options.image, options.push, not options.no_checks)))
        else:
            rolled(shell, options)
    except ReleaseFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def rolled(shell: Shell, options: argparse.Namespace) -> None:
    plan = Plan(
        version=options.version,
        former=options.former,
        servers=dict(options.server),
        migrate=options.migrate,
        start=options.start,
        share=options.share,
        watch=options.watch,
        every=options.every,
        up=options.up,
    )
    rules = rules_of(options.rules)
    Roll(shell, plan, Balancer(options.runtime), Prometheus(options.prometheus.rstrip("/")), rules).run()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    steps = made.add_subparsers(dest="step", required=True)
    of_build = steps.add_parser("build", help="check, build, scan, push and sign the image of the commit")
    of_build.add_argument("--image", required=True, help="its name with the registry, without a tag")
    of_build.add_argument("--push", action="store_true", help="push and sign it")
    of_build.add_argument("--strict", action="store_true", help="fail if a tool is not installed")
    of_build.add_argument("--no-checks", action="store_true", help="leave out `make check` and `make test`")
    of_roll = steps.add_parser("roll", help="migrate, watch a canary, and roll forward or back")
    of_roll.add_argument("--version", required=True, help="RELEASE_VERSION of the commands: the new one")
    of_roll.add_argument("--former", required=True, help="the version to return to")
    of_roll.add_argument(
        "--server",
        required=True,
        action="append",
        type=pair,
        metavar="NAME=INSTANCE",
        help="a server of the balancer and its instance in Prometheus; the first one is the canary",
    )
    of_roll.add_argument(
        "--runtime", default="127.0.0.1:8406", help="runtime API of the balancer, or its socket"
    )
    of_roll.add_argument("--prometheus", default="http://127.0.0.1:9090", help="address of Prometheus")
    of_roll.add_argument("--migrate", required=True, help="shell: migrate with RELEASE_VERSION")
    of_roll.add_argument("--start", required=True, help="shell: start RELEASE_VERSION on RELEASE_SERVER")
    of_roll.add_argument("--share", type=percent, default=10, help="percent of the requests for the canary")
    of_roll.add_argument("--watch", type=float, default=600, help="seconds in which the rules must hold")
    of_roll.add_argument("--every", type=float, default=15, help="seconds between two looks")
    of_roll.add_argument(
        "--up", type=float, default=120, help="seconds in which a started server must be ready"
    )
    of_roll.add_argument("--rules", type=Path, default=RULES, help="file of the rules")
    for step in (of_build, of_roll):
        step.add_argument("--dry-run", action="store_true", help="only show the steps")
    return made


def pair(given: str) -> tuple[str, str]:
    name, _, instance = given.partition("=")
    if not name or not instance:
        raise argparse.ArgumentTypeError("must be NAME=INSTANCE")
    return name, instance


def percent(given: str) -> float:
    if not 0 < float(given) <= 50:  # noqa: PLR2004 - half of the requests
        raise argparse.ArgumentTypeError("must be above 0 and at most 50")
    return float(given)


if __name__ == "__main__":
    sys.exit(main())
