"""The command of `make live`: its stream changes a member's list, and nothing is left of it at its end."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx
import psutil
import pytest

from bench.live.observe import MEMBER
from bench.live.stream import UNKNOWN, UNKNOWN_EVERY, endless, simulated
from bench.processes.start_broker import BrokerError, fetched
from tests.conftest import ROOT
from tests.first_start import FirstStart, copy_of

pytestmark = pytest.mark.timeout(400)

MEMBERS, RATE = 5, 40
SECONDS = 180
LINE = re.compile(
    r"produced (?P<produced>[\d,]+), stored (?P<stored>[\d,]+), repeated (?P<repeated>[\d,]+), "
    r"lag (?P<lag>[\d,]+), dead letters (?P<dead>[\d,]+), "
    r"next for member 1: (?P<movies>.*) \((?P<request>[\w-]{36})\)$",
    re.MULTILINE,
)
BECAUSE = re.compile(r"because you (?:liked|watched|rated|loved) (.+?)(?: \||$)", re.IGNORECASE)
NUMBERS = ("produced", "stored", "repeated", "lag", "dead")


@dataclass(frozen=True, slots=True)
class Live:
    process: subprocess.Popen[bytes]
    log: Path
    data: Path

    def lines(self) -> list[re.Match[str]]:
        return list(LINE.finditer(self.log.read_text()))

    def wait_for(self, count: int) -> list[re.Match[str]]:
        """Wait for lines with a list."""
        deadline = time.monotonic() + SECONDS
        while len(found := self.lines()) < count:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)
        return found

    def wait_for_part(self, command: str) -> psutil.Process:
        """Wait for the process of a subcommand of `marquee`."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for each in psutil.Process(self.process.pid).children():
                with suppress(psutil.Error):
                    if command in each.cmdline():
                        return each
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def processes(self) -> list[psutil.Process]:
        """The command's descendants, and the processes of its Postgres."""
        here = psutil.Process(self.process.pid).children(recursive=True)
        postgres = [
            each
            for each in psutil.process_iter(["cmdline"])
            if str(self.data) in " ".join(each.info["cmdline"] or ())
        ]
        return list({*here, *postgres, *(child for each in postgres for child in each.children())})


@contextmanager
def started(data: Path) -> Iterator[Live]:
    log = data.with_suffix(".log")
    arguments = ["--members", str(MEMBERS), "--rate", str(RATE), "--every", "1", "--data", str(data)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.live", *arguments], cwd=ROOT, stdout=output, stderr=output
        )
    live = Live(process, log, data)
    try:
        yield live
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.fixture
def data(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    try:
        fetched()
    except BrokerError as error:
        pytest.skip(str(error))
    tmp_path.chmod(0o711)  # under root, Postgres runs as another account
    prepared: tuple[Path, FirstStart] = request.getfixturevalue("prepared")
    return copy_of(prepared[0], tmp_path / "data")


@pytest.mark.long("prepared")
def test_the_stream_changes_a_list_and_nothing_is_left(data: Path) -> None:
    with started(data) as live:
        first, *_, last = live.wait_for(12)
        assert first["movies"] != last["movies"]
        before, after = ({name: number(each[name]) for name in NUMBERS} for each in (first, last))
        assert after["stored"] > before["stored"] > 0
        assert after["dead"] > 0
        done = after["stored"] + after["repeated"] + after["dead"]
        assert done + after["lag"] >= after["produced"]
        of_member = {event["movie"]["title"] for event in simulated(MEMBERS) if str(event["user"]) == MEMBER}
        reasons = BECAUSE.findall(" | ".join(found["movies"] for found in live.lines()))
        assert set(reasons) & of_member, live.log.read_text()
        addresses = re.findall(r"http://\S+/metrics", live.log.read_text())
        assert [httpx.get(address).status_code for address in addresses] == [200, 200]
        running = live.processes()
        assert {"java", "postgres"} <= {each.name() for each in running}
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(SECONDS) == 0, live.log.read_text()
        assert not alive(running)

    with started(data) as live:  # a part dies
        service = live.wait_for_part("serve")
        running = live.processes()
        service.kill()
        assert live.process.wait(SECONDS) == 1
        assert f"ended with status -{signal.SIGKILL.value}" in live.log.read_text()
        assert not alive(running)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, left = psutil.wait_procs(processes, timeout=60)
    return [each for each in left if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_part_ends_with_the_command_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bench.live.parts import Parts\n"
        f"part = Parts(Path({str(tmp_path)!r}), {{}}).start('part', ['sleep', '600'])\n"
        "print(part.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        part = psutil.Process(int(command.stdout.readline()))
        assert part.is_running()
        command.kill()
    assert not alive([part])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
@pytest.mark.parametrize("started", [False, True])
def test_no_postgres_is_left_of_a_command_that_is_killed(run_folder: Path, started: bool) -> None:
    """Killed while its Postgres starts, and after it."""
    folder = Path(tempfile.mkdtemp(prefix="kept-", dir=run_folder))
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bench.processes.keep_postgres import kept_postgres\n"
        f"with kept_postgres(Path({str(folder)!r})) as address:\n"
        "    print(address, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        if started:
            assert command.stdout.readline().startswith("postgresql://")
        else:
            deadline = time.monotonic() + SECONDS
            while not (folder / "postgres.log").exists():  # initdb has begun
                assert time.monotonic() < deadline
                time.sleep(0.01)
        left = psutil.Process(command.pid).children(recursive=True)
        command.kill()
    deadline = time.monotonic() + SECONDS
    while of_folder(folder) or alive(left):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not (folder / "postgres" / "postmaster.pid").exists()


def of_folder(folder: Path) -> list[psutil.Process]:
    """The processes of the Postgres of a folder, and of what makes it."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] in ("postgres", "initdb", "pg_ctl")
        and str(folder) in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.parametrize("missing", ["java", "mvn"])
def test_a_missing_program_is_named_with_its_remedy(missing: str, tmp_path: Path) -> None:
    """Maven is looked for only if Kafka is not fetched yet, so an empty prefix is used."""
    if missing == "mvn":
        java = tmp_path / "java"
        java.write_text("#!/bin/sh\n")
        java.chmod(0o755)
    code = (
        "import sys, runpy\n"
        f"sys.prefix = {str(tmp_path)!r}\n"
        "sys.argv = ['bench.live']\n"
        "runpy.run_module('bench.live', run_name='__main__')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 1, ran.stderr
    remedy = {"java": "Java is not installed: install Java 17", "mvn": "Maven is not installed: install it"}
    assert remedy[missing] in ran.stdout


def test_a_share_of_the_stream_names_an_unknown_movie() -> None:
    events = simulated(MEMBERS)
    unknown = [event for event in events if event["movie"] == UNKNOWN]
    assert len(unknown) == len(events) // UNKNOWN_EVERY
    assert {event["kind"] for event in events} == {"click", "watch", "rating"}
    assert {event["user"] for event in events} == set(range(1, MEMBERS + 1))


def test_a_second_pass_has_other_movies_for_each_member() -> None:
    events = simulated(MEMBERS)
    passes = list(islice(endless(events), 2 * len(events)))
    assert passes[: len(events)] == events
    again = passes[len(events) :]
    assert [event["movie"] for event in again] == [event["movie"] for event in events]
    assert all(
        after["user"] == before["user"] % MEMBERS + 1 for before, after in zip(events, again, strict=True)
    )
