"""Settings: read from the environment, refused with name and rule, and all listed in docs/settings.md."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import SECRETS, Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = {
        name: (default.strip().strip("`"), text.strip())
        for name, default, text in re.findall(
            r"^\| `([A-Z_]+)` \|([^|]*)\|([^|]*)\|$", PAGE.read_text(), re.MULTILINE
        )
    }
    assert set(rows) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        default = default.lower() if isinstance(field.default, bool) else default
        assert rows[name.upper()] == (default, field.description), name


def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "ALLOWED_HOSTS", "PORT", "DATABASE_URL", "TRUSTED_PROXIES"):
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert (settings.redis_url, settings.allowed_hosts, settings.port) == (None, "*", 8000)
    assert settings.trusted_proxies == ""  # an empty list


@pytest.mark.parametrize(
    ("values", "explored", "demo"),
    [
        ({}, True, True),
        ({"host": "::1"}, True, True),
        ({"host": "localhost"}, True, True),
        ({"host": "0.0.0.0"}, True, False),  # noqa: S104 - the tested case
        ({"host": "movies.example.com"}, True, False),
        ({"production": True}, False, False),
        ({"production": True, "graphiql": True}, True, False),
        ({"graphiql": False}, False, True),
        ({"database_url": "postgresql:///marquee", "secret_key": "s" * 32}, True, False),
    ],
)
def test_graphiql_and_demo_account_depend_on_host_and_production(
    values: dict[str, object], explored: bool, demo: bool
) -> None:
    settings = Settings(**values)  # type: ignore[arg-type]  # as they come from the environment
    assert (settings.explored, settings.has_demo_account) == (explored, demo)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "eighty", "port"),
        ("PORT", "70000", "port"),
        ("SECRET_KEY", "short", "32 characters"),
        ("ACCESS_TOKEN_SECONDS", "0", "access_token_seconds"),
        ("LOG_LEVEL", "loud", "log_level"),
        ("LOG_FORMAT", "xml", "log_format"),
        ("METRICS_PORT", "-1", "metrics_port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "otel_exporter_otlp_endpoint"),
    ],
)
def test_an_invalid_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=message):
        Settings()


def test_an_external_database_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/marquee")
    with pytest.raises(ValidationError, match="SECRET_KEY"):
        Settings()


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name.upper(), raising=False)
        (tmp_path / name).write_text(f"redis://{name}/of/a/file/long/enough\n")
        monkeypatch.setenv(f"{name.upper()}_FILE", str(tmp_path / name))
    settings = Settings()
    for name in SECRETS:
        value = getattr(settings, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        assert plain == f"redis://{name}/of/a/file/long/enough"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "1 to 10000 characters"),
        (b"s" * 10_001, "1 to 10000 characters"),
        (b"\xff" * 40, "UTF-8"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(ValidationError, match=f"SECRET_KEY_FILE.*{message}"):
        Settings()


def test_a_secret_has_one_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s" * 32)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("SECRET_KEY", "s" * 32)
    with pytest.raises(ValidationError, match="both set"):
        Settings()


def test_every_setting_that_may_hold_a_secret_is_named() -> None:
    may = {
        name
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation) or name.endswith(("_url", "_uri", "password"))
    }
    assert may - {"public_url"} <= set(SECRETS)


def test_replicas_need_the_address_of_their_primary() -> None:
    with pytest.raises(ValidationError, match="DATABASE_URL must be set when DATABASE_READ_URL is set"):
        Settings.model_validate({"database_read_url": "postgresql:///marquee"})
