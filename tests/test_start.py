"""The command of `make run` on an empty folder: first start, second start, and each kind of stop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.first_start import ROOT, FirstStart, copy_of, postgres_of, started


@pytest.mark.long("prepared")
def test_first_start_second_start_and_every_kind_of_stop(
    prepared: tuple[Path, FirstStart], tmp_path: Path
) -> None:
    folder, first = prepared
    assert "demo / marquee-demo" in first.printed
    assert first.ready == {"status": "ok", "database": True, "model": True}
    assert first.logged_in == "AuthPayload"
    assert first.served_by
    assert not first.left  # SIGTERM
    data_dir = copy_of(folder, tmp_path / "data")
    with started(data_dir) as (process, url, printed):
        assert "Loading" not in printed
        assert "Training" not in printed
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.kill()
        process.wait()
    assert postgres_of(data_dir)
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
