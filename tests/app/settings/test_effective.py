"""The settings that apply, with their origin, by the command and the API, never with a secret."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from app.cli.commands import app
from app.settings import SECRETS, Settings
from app.settings.effective import Origin, effective

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


def test_each_setting_has_its_value_and_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("COMPRESSION", "false")
    monkeypatch.setenv("PORT", "8001")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://us:{SECRET}@collector:4318")
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@host")
    settings = Settings(port=8002)
    found = {setting.name: setting for setting in effective(settings)}
    assert found.keys() == {name.upper() for name in Settings.model_fields}
    for name, value, source in (
        ("SECRET_KEY", None, Origin.FILE),
        ("REDIS_URL", None, Origin.ENVIRONMENT),
        ("COMPRESSION", "false", Origin.ENVIRONMENT),
        ("PORT", "8002", Origin.OPTION),
        ("LOG_LEVEL", "info", Origin.DEFAULT),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://***@collector:4318", Origin.ENVIRONMENT),
    ):
        assert (found[name].value, found[name].source) == (value, source), name
    assert {name for name, setting in found.items() if setting.is_secret} == {
        name.upper() for name in SECRETS
    }
    assert SECRET not in repr(found)
    generated = settings.model_copy(update={"data_dir": tmp_path})
    assert {each.name: each.source for each in effective(generated)}["DATA_DIR"] is Origin.GENERATED


def test_the_command_shows_them_on_80_columns_without_secrets() -> None:
    environment = {"SECRET_KEY": SECRET, "REDIS_URL": f"redis://:{SECRET}@host", "COLUMNS": "80"}
    shown = CliRunner().invoke(app, ["settings"], env=environment)
    assert shown.exit_code == 0
    assert all(name.upper() in shown.output for name in Settings.model_fields)
    assert max(map(len, shown.output.splitlines())) <= 80
    changed = CliRunner().invoke(app, ["settings", "--changed", "--json"], env=environment)
    found = {setting["name"]: setting for setting in orjson.loads(changed.output)}
    assert found.keys() >= {"SECRET_KEY", "REDIS_URL"}
    assert "LOG_LEVEL" not in found
    assert SECRET not in shown.output + changed.output
