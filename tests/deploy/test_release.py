"""The release script: its steps, its tools, and a version that is rolled back by a real balancer."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import ROOT
from tests.deploy.cluster import SERVERS, Balanced, Load, balanced
from tests.deploy.versions import STARTS, Versions, prometheus
from tests.services import running

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SCRIPT = ROOT / "deploy" / "release"
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
TOOL = '#!/bin/sh\necho "${0##*/} $*" >> "$CALLS"\n'
PAUSE_SECONDS = 0.1  # the watch lasts for minutes, and needs few requests a second
DIGEST = "films/marquee@sha256:0a1b"


def release(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dry_run_of_the_workflow_shows_each_step() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    lines = [
        step["run"]
        for job in jobs.values()
        for step in job["steps"]
        if "deploy/release" in step.get("run", "")
    ]
    given = {
        "IMAGE": "films/marquee",
        "GITHUB_SHA": "new",
        "FORMER_FILE": os.devnull,
        "SERVER_1": "service-1=host-1:9464",
        "SERVER_2": "service-2=host-2:9464",
        "PROMETHEUS": "http://prometheus",
        "MIGRATE": "migrate",
        "START": "restart",
    }
    shown = [
        subprocess.run(
            ["sh", "-c", f"{line} --dry-run"],
            cwd=ROOT,
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in lines
    ]
    built, rolled = (text.splitlines() for text in shown)
    steps = [line for line in built if not line.startswith("skipped")]
    assert steps[2:5] == [
        "$ make check",
        "$ make test",
        f"$ {steps[4].split()[1]} build --tag films/marquee:COMMIT .",
    ]
    assert steps[-1] == "films/marquee@DIGEST"
    assert [line for line in rolled if line.startswith("$")] == [
        "$ RELEASE_VERSION=new migrate",
        "$ RELEASE_SERVER=service-1 RELEASE_VERSION=new restart",
        "$ RELEASE_SERVER=service-2 RELEASE_VERSION=new restart",
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    made = tmp_path / "checkout"
    made.mkdir()
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(["git", *command], cwd=made, check=True)
    return made


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of tools that write their calls to the file `calls` beside it."""
    made = tmp_path / "tools"
    made.mkdir()
    for name in ("docker", "trivy", "syft", "cosign"):
        answer = f'[ "$1" = image ] && echo {DIGEST}\nexit 0\n' if name == "docker" else ""
        (made / name).write_text(TOOL + answer)
        (made / name).chmod(0o755)
    for name in ("git", "sh"):
        (made / name).symlink_to(str(shutil.which(name)))
    return made


def built(checkout: Path, tools: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    calls = tools.with_name("calls")
    calls.write_text("")
    arguments = ("build", "--image", "films/marquee", "--push", "--no-checks", *options)
    done = release(*arguments, cwd=checkout, PATH=str(tools), CALLS=str(calls))
    return done, [" ".join(line.split()[:2]) for line in calls.read_text().splitlines()]


def test_an_image_is_scanned_before_it_is_pushed_and_signed_by_its_digest(
    checkout: Path, tools: Path
) -> None:
    done, calls = built(checkout, tools, "--strict")
    assert calls == [
        "docker build",
        "trivy image",
        f"syft films/marquee:{head(checkout)}",
        "docker push",
        "docker image",
        "cosign sign",
        "cosign attest",
    ]
    assert done.stdout.splitlines()[-1] == DIGEST

    (tools / "trivy").write_text(f"{TOOL}exit 1\n")
    done, calls = built(checkout, tools)
    assert (done.returncode, calls) == (1, ["docker build", "trivy image"])
    assert "trivy image" in done.stderr

    (tools / "trivy").unlink()
    done, calls = built(checkout, tools)
    assert "skipped: scan for vulnerabilities: trivy is not installed" in done.stdout
    assert calls[-1] == "cosign attest"
    done, calls = built(checkout, tools, "--strict")
    assert (done.returncode, calls) == (1, ["docker build"])
    assert "trivy is not installed" in done.stderr

    (checkout / "file").touch()
    subprocess.run(["git", "add", "file"], cwd=checkout, check=True)
    done, calls = built(checkout, tools)
    assert (done.returncode, calls) == (1, [])


def head(checkout: Path) -> str:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


@pytest.fixture
def versions(seeded_database_url: str, model_dir: Path, run_folder: Path) -> Iterator[Versions]:
    made = Versions(
        lambda stack, settings: stack.enter_context(
            running(seeded_database_url, model_dir, run_folder, **settings)
        )
    )
    try:
        for server in SERVERS:
            made.start(server, "good")
        yield made
    finally:
        for server in SERVERS:
            made.stop(server)


def get(client: httpx.Client, _: int) -> httpx.Response:
    return client.get("/graphql", params={"query": "{ movies(first: 1) { nodes { title } } }"})


def plan_of(versions: Versions, behind: Balanced, migrate: str = "true") -> list[str]:
    servers = [f"--server={server}=127.0.0.1:{port}" for server, port in versions.metrics.items()]
    return ["roll", "--former", "good", "--runtime", behind.runtime, *servers, "--migrate", migrate]


def failures_of_the_service(load: Load) -> list[str]:
    """The failures without those of a balancer that has no server for a moment.

    On a busy machine, also the process that goes on answers a health check too late.
    """
    found = [failure for failure in load.failures if "No server is available" not in failure]
    assert len(load.failures) - len(found) < 0.1 * load.answers
    return found


def rules_in(folder: Path) -> Path:
    """The rules for a short watch on a busy machine, where the slowest operations are of any length."""
    text = (SCRIPT / "rules.toml").read_text()
    for rule, own in (
        ("at_least = 20", "at_least = 1"),
        ("at_most = 2\n\n# The model", "at_most = 100\n\n# The model"),
    ):
        assert text.count(rule) == 1
        text = text.replace(rule, own)
    (folder / "rules.toml").write_text(text)
    return folder / "rules.toml"


def test_a_bad_version_is_rolled_back_and_a_good_one_rolled_forward(
    versions: Versions, seeded_database_url: str, tmp_path: Path
) -> None:
    environment = {"DATABASE_URL": seeded_database_url, "SECRET_KEY": "a secret of the tests, long enough"}
    with (
        versions.following(tmp_path),
        balanced(versions.ports) as behind,
        prometheus(versions.metrics.values(), tmp_path) as url,
    ):
        migrate = f"{Path(sys.executable).parent / 'marquee'} migrate > migrated"
        watched = ["--start", STARTS, "--prometheus", url, "--share", "25", "--every", "1"]
        plan = [*plan_of(versions, behind, migrate), *watched]
        load = Load(PAUSE_SECONDS)
        with load.running(behind.url, get, get):
            done = release(*plan, "--version", "bad", "--watch", "120", cwd=tmp_path, **environment)
        assert "as before" in (tmp_path / "migrated").read_text()
        assert done.returncode == 1
        reason = "Rolled back to good: service-1: share of operations that fail for reasons of the service"
        assert done.stderr.startswith(reason), done.stdout + done.stderr
        assert versions.current() == dict.fromkeys(SERVERS, "good")
        assert behind.figures("weight") == dict.fromkeys(SERVERS, 1)
        failures = failures_of_the_service(load)
        assert 0 < len(failures) < 0.5 * load.answers  # the share of the canary
        assert all("TIMEOUT" in failure for failure in failures)

        plan = [*plan_of(versions, behind), *watched, "--watch", "6", "--rules", str(rules_in(tmp_path))]
        load = Load(PAUSE_SECONDS)
        with load.running(behind.url, get, get):
            done = release(*plan, "--version", "better", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert failures_of_the_service(load) == []
        assert versions.current() == dict.fromkeys(SERVERS, "better")
        assert behind.figures("weight") == dict.fromkeys(SERVERS, 1)


def test_a_version_that_does_not_start_is_rolled_back(versions: Versions, tmp_path: Path) -> None:
    with versions.following(tmp_path), balanced(versions.ports) as behind:
        start = f'[ "$RELEASE_VERSION" = good ] || exit 3; {STARTS}'
        done = release(*plan_of(versions, behind), "--version", "bad", "--start", start, cwd=tmp_path)
        assert done.returncode == 1
        assert "ended with status 3" in done.stderr
        assert versions.current() == dict.fromkeys(SERVERS, "good")
        assert behind.figures("weight") == dict.fromkeys(SERVERS, 1)


def test_the_rules_name_metrics_that_the_service_has() -> None:
    rules = tomllib.loads((SCRIPT / "rules.toml").read_text())["rule"]
    named = {name for rule in rules for name in re.findall(r"marquee_\w+", rule["query"])}
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert named
    for name in named:
        assert f"`{re.sub('_(count|bucket)$', '', name)}`" in page
