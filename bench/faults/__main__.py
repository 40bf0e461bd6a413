"""Kill the service, the ingester, the trainer, the broker and Postgres at random moments, under load.

    python -m bench.faults [--kills 200] [--seed 1] [--minutes 60] [--json FILE] [--page FILE]

Members rate movies over HTTP and events are sent to Kafka meanwhile. At the end each rating and each event
that was acknowledged must be stored once. Exits with 1 if one is lost or doubled.
"""

import argparse
import math
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.faults.fleet import TARGETS
from bench.faults.run import Result, run
from bench.figures import ROOT, Figure, commit, hardware, write
from bench.processes.start_broker import BrokerError

PAGE = ROOT / "docs" / "bench" / "faults.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of targets and pauses")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which kills stop")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, default=PAGE, help="write a Markdown page to this file")
    options = parser.parse_args()
    if options.kills < 1:
        parser.error("--kills must be above 0")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="marquee-faults-") as name:
            result = run(Path(name), options.kills, options.seed, minutes=options.minutes, say=say)
    except (BrokerError, TimeoutError) as error:
        sys.exit(str(error))
    text = table(result)
    say(text)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(result, text, options), encoding="utf-8")
    if options.json:
        write(options.json, f"{options.kills} kills, seed {options.seed}", figures(result))
    return 0 if result.holds else 1


def figures(result: Result) -> list[Figure]:
    lost = result.lost_ratings + result.lost_events
    return [
        Figure("kills", sum(result.kills.values())),
        Figure("lost", lost, "writes", 0, at_most=True),
        Figure("doubled", result.doubled_events, "events", 0, at_most=True),
    ]


def table(result: Result) -> str:
    rows = [
        *((f"kills: {name}", result.kills.get(name, 0)) for name in TARGETS),
        ("kills", sum(result.kills.values())),
        *((f"ended by itself and was started again: {name}", n) for name, n in sorted(result.ends.items())),
        ("ratings acknowledged", result.ratings),
        ("ratings without an answer, stored or not", result.unanswered),
        ("events acknowledged by the broker", result.events),
        ("events that the producer gave up, stored or not", result.failed),
        ("malformed ones of these", result.dead),
        ("acknowledged ratings lost", result.lost_ratings),
        ("acknowledged events lost", result.lost_events),
        ("events doubled", result.doubled_events),
        ("movies whose statistics differ from their ratings", result.wrong),
    ]
    lines = [f"| {name} | {value:,} |" for name, value in rows]
    trained = f"| a training succeeded at the end | {'yes' if result.trained else 'no'} |"
    return "\n".join(["| | |", "|---|--:|", *lines, trained])


def page(result: Result, text: str, options: argparse.Namespace) -> str:
    limit = "" if options.minutes == math.inf else f" --minutes {options.minutes:g}"
    return f"""\
# Faults

Written by `python -m bench.faults --kills {options.kills} --seed {result.seed}{limit}` at commit {commit()},
{datetime.now(UTC):%Y-%m-%d}, on {hardware()}, in {result.seconds / 60:.0f} minutes.

The service, its trainer, the ingester, the broker and Postgres are killed (SIGKILL) at random moments and
started again at once, while members rate movies over HTTP and events are sent to Kafka. A kill ends a
process and not the machine: what the operating system has to write is not lost. At the end the ratings that
the service acknowledged and the events that the broker acknowledged are compared with the rows. One kill of
two waits until the service has acknowledged another rating; the others also hit processes that are starting.

{text}
"""


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it is a command


if __name__ == "__main__":
    sys.exit(main())
