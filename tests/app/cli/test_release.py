import shutil
from datetime import date
from pathlib import Path

import pytest

from app.cli import release
from tests.conftest import ROOT

SDL, SETTINGS = "type Query { a: Int }\n", '{ "PORT": "8000" }\n'
ENTRY = f"## 0.1.0, 2026-11-21\n\n`{release.sha256(SDL)}`\n`{release.sha256(SETTINGS)}`\n"


@pytest.mark.parametrize(
    ("notes", "released", "current", "settings", "current_settings", "expected"),
    [
        ("", SDL, SDL, SETTINGS, SETTINGS, None),
        ("- A field.\n\n", SDL, SDL + "#", SETTINGS, SETTINGS + "#", None),
        ("", SDL, SDL + "#", SETTINGS, SETTINGS, "The schema changed since the release"),
        ("", SDL, SDL, SETTINGS, SETTINGS + "#", "The settings changed since the release"),
        ("- A field.\n\n", SDL + "#", SDL + "#", SETTINGS, SETTINGS, "released.graphql has changed since"),
        ("- A field.\n\n", SDL, SDL, SETTINGS + "#", SETTINGS, "released_settings.json has changed since"),
    ],
)
def test_released_files_stay_and_changes_are_named(
    notes: str, released: str, current: str, settings: str, current_settings: str, expected: str | None
) -> None:
    changelog = f"# Changelog\n\n## Unreleased\n\n{notes}{ENTRY}"
    found = release.faults(changelog, released, current, settings, current_settings)
    assert len(found) == (expected is not None)
    assert expected is None or expected in found[0]


def test_a_release_moves_schema_settings_version_and_changelog_together(tmp_path: Path) -> None:
    for file in (release.CHANGELOG, release.CURRENT, release.RELEASED, Path("pyproject.toml")):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    release.release(tmp_path, "9.9.9", date(2030, 1, 2))
    sdl, settings = (
        (tmp_path / release.RELEASED).read_text(),
        (tmp_path / release.RELEASED_SETTINGS).read_text(),
    )
    changelog = (tmp_path / release.CHANGELOG).read_text()
    assert sdl == (ROOT / release.CURRENT).read_text()
    assert "## 9.9.9, 2030-01-02" in changelog
    assert 'version = "9.9.9"' in (tmp_path / "pyproject.toml").read_text()
    assert release.faults(changelog, sdl, sdl, settings, release.settings_text()) == []
