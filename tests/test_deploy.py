"""The image, the compose file and the wheel."""

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

from app.db import migrations
from app.settings import Settings
from app.web.server import GRACE_SECONDS

ROOT = Path(__file__).parent.parent
COMMANDS = Path(sys.executable).parent


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_file_conforms_to_its_specification() -> None:
    run(COMMANDS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_compose_sets_only_existing_settings() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    libpq = {"PGPASSWORD"}
    for name in ("migrate", "seed", "api-1", "api-2"):
        assert set(services[name]["environment"]) - libpq <= {
            field.upper() for field in Settings.model_fields
        }
        assert "${SECRET_KEY:?" in services[name]["environment"]["SECRET_KEY"]  # the file contains no secret


def test_compose_passes_on_the_settings_of_a_deployment() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    passed = {"PRODUCTION", "ALLOWED_HOSTS", "ALLOWED_ORIGINS", "TRUSTED_PROXIES", "REDIS_URL"}
    passed |= {"LOG_FORMAT", "METRICS_PORT"}
    assert passed <= set(services["api-1"]["environment"])


def test_compose_has_two_processes_behind_the_balancer() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    balancer = services["balancer"]
    given = balancer["environment"]
    configuration = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    assert set(given) == set(re.findall(r'"\$\{(\w+)\}"', configuration))
    assert {given["SERVICE_1"], given["SERVICE_2"]} == {f"{name}:8000" for name in balancer["depends_on"]}
    for name in balancer["depends_on"]:
        service = services[name]
        drain = float(service["environment"]["DRAIN_SECONDS"])
        assert float(service["stop_grace_period"].removesuffix("s")) > drain + GRACE_SECONDS
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert "redis" in service["depends_on"]
        assert service["environment"]["REDIS_URL"] == "${REDIS_URL:-redis://redis:6379}"


def test_every_container_is_confined() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_compose_opens_the_metrics_only_on_request() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert services["api-1"]["environment"]["METRICS_PORT"] == "${METRICS_PORT:-}"
    assert services["balancer"]["ports"] == ["${PORT:-8000}:8000"]
    assert not {"api-1", "api-2", "redis", "database"} & {
        name for name, service in services.items() if "ports" in service
    }
    live = {name for name, service in services.items() if "live" in service.get("profiles", ())}
    assert {"prometheus", "grafana"} <= live
    mounted = [volume for name in live for volume in services[name]["volumes"] if volume.startswith("./")]
    for volume in mounted:
        folder, _, access = volume.split(":")
        assert (ROOT / folder).is_dir(), volume
        assert access == "ro", volume


def test_the_parts_of_monitoring_find_each_other() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "marquee.yml").read_text())["providers"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in services["grafana"]["volumes"]}
    assert mounted[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    hosts, (port,) = ({*part} for part in zip(*(target.split(":") for target in targets), strict=True))
    assert hosts == {"api-1", "api-2", "ingest"}
    assert all({*services[host]["networks"]} & {*services["prometheus"]["networks"]} for host in hosts)
    assert f"METRICS_PORT={port} docker compose" in (ROOT / "docker-compose.yml").read_text()


def test_dockerfile_passes_its_linter() -> None:
    run(COMMANDS / "hadolint", "Dockerfile")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install -r requirements-install.lock")
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", folder, "."),
    )
    (built,) = folder.glob("marquee-*.whl")
    return built


def test_an_installed_wheel_migrates_from_an_empty_folder(
    wheel: Path, tmp_path: Path, empty_database_url: str
) -> None:
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    (site,) = venv.glob("lib/python*/site-packages")
    # The dependencies, which cannot be downloaded in a test. `.pth` files of that folder do not apply.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    python = venv / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps")
    run(*pip, "--ignore-installed", "--no-compile", wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, expected in (
        (["--version"], f"marquee {wheel.name.split('-')[1]}"),
        (["migrate", "--json"], f'"after": "{migrations.revisions()[0]}"'),
        (["migrate"], "as before"),
    ):
        ran = subprocess.run(
            [venv / "bin" / "marquee", *arguments],
            cwd=empty,
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "DATABASE_URL": empty_database_url,
                "SECRET_KEY": "a secret of the tests, long enough",
            },
            check=False,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        assert expected in ran.stdout
    assert not migrations.is_behind(empty_database_url)
    assert not list(empty.iterdir())


def test_the_wheel_has_all_files_for_run_time(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    folders = ("app", "schema", "recommender", "seeds", "migrations")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", *folders], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if tracked.returncode != 0:
        pytest.skip("this is not a git checkout")
    here = {name for name in tracked.stdout.split() if (ROOT / name).exists()}
    assert here - packed == set()
    assert {"app/web/graphiql/page/index.html", "app/web/static/routes.json", "migrations/env.py"} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "bench/")) or "node_modules" in name]
