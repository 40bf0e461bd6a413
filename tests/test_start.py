"""The command of `make run` on an empty folder: first start, second start, and each kind of stop."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from app.cli.commands import main; main()", "serve", "--prepare"]


@contextmanager
def started(data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A service on the embedded database of `data_dir`: its process, address and output."""
    log = data_dir.with_suffix(".log")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "SECRET_KEY")
    }
    environment |= {"DATA_DIR": str(data_dir), "PORT": "0", "COLUMNS": "200"}
    with log.open("wb") as output:
        process = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 280
        while (found := re.search(r"(http://\S+)/graphql", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process, found[1], log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def postgres_of(data_dir: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and str(data_dir) in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.long
def test_first_start_second_start_and_every_kind_of_stop(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with started(data_dir) as (process, url, printed):
        assert "demo / marquee-demo" in printed
        assert httpx.get(f"{url}/readyz").json() == {"status": "ok", "database": True, "model": True}
        log_in = 'mutation { logIn(input: {username: "demo", password: "marquee-demo"}) { __typename } }'
        answer = httpx.post(f"{url}/graphql", json={"query": log_in}).json()
        assert answer["data"]["logIn"]["__typename"] == "AuthPayload"
        assert postgres_of(data_dir)
        process.kill()
        process.wait()
    with started(data_dir) as (process, url, printed):
        assert "Loading" not in printed
        assert "Training" not in printed
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert not postgres_of(data_dir)
    with started(data_dir) as (process, url, _):
        assert httpx.get(f"{url}/healthz").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not postgres_of(data_dir)


def test_an_external_database_starts_no_embedded_one(
    seeded_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": seeded_database_url,
        "SECRET_KEY": "a secret of the tests, long enough",
        "MODEL_DIR": str(model_dir),
        "DATA_DIR": str(tmp_path / "data"),
    }
    train = [sys.executable, "-c", "from app.cli.commands import main; main()", "export-schema", "--check"]
    subprocess.run(train, cwd=ROOT, env=environment, check=True)
    assert not (tmp_path / "data").exists()
