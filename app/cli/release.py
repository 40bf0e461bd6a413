"""Make a release (`make release VERSION=x.y.z`), and check that the released files have not changed since.

The released SDL and settings are kept in files. The changelog records their SHA-256 under the version, so an
accidental change of either file is detected.
"""

import hashlib
import re
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from app.settings import Settings
from schema.breaking_changes import unreleased

CHANGELOG = Path("CHANGELOG.md")
CURRENT = Path("schema/schema.graphql")
RELEASED = Path("schema/released.graphql")
RELEASED_SETTINGS = Path("schema/released_settings.json")
NEWEST = re.compile(r"^## \d[^\n]*$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def settings_text() -> str:
    """The names of the settings with their defaults, as JSON."""
    fields = Settings.model_fields
    defaults = {name.upper(): repr(field.default) for name, field in sorted(fields.items())}
    return orjson.dumps(defaults, option=orjson.OPT_INDENT_2).decode() + "\n"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def faults(changelog: str, released: str, current: str, settings: str, current_settings: str) -> list[str]:
    """Inconsistencies of the released files, the code and the changelog; empty if there are none."""
    newest = NEWEST.search(changelog)
    hashes = re.findall(r"[0-9a-f]{64}", newest[1]) if newest else []
    found = [
        f"{file} has changed since the release: restore it, or run `make release VERSION=x.y.z`."
        for file, text in ((RELEASED, released), (RELEASED_SETTINGS, settings))
        if sha256(text) not in hashes
    ]
    if not unreleased(changelog).strip():
        found += [
            f"The {subject} changed since the release: name the change in {CHANGELOG} under Unreleased."
            for subject, before, after in (
                ("schema", released, current),
                ("settings", settings, current_settings),
            )
            if before != after
        ]
    return found


def release(root: Path, version: str, today: date) -> None:
    """Copy the current SDL and settings to the released files, and date the changelog's entry."""
    sdl, settings = (root / CURRENT).read_text(), settings_text()
    (root / RELEASED).write_text(sdl)
    (root / RELEASED_SETTINGS).write_text(settings)
    heading = (
        f"## {version}, {today}\n\n"
        f"SHA-256 of the released schema: `{sha256(sdl)}`\n"
        f"SHA-256 of the released settings: `{sha256(settings)}`"
    )
    changelog = (root / CHANGELOG).read_text()
    (root / CHANGELOG).write_text(re.sub(r"^## Unreleased$", heading, changelog, count=1, flags=re.MULTILINE))
    project = root / "pyproject.toml"
    project.write_text(
        re.sub(r'^version = ".*"$', f'version = "{version}"', project.read_text(), flags=re.MULTILINE)
    )


if __name__ == "__main__":
    release(Path(), sys.argv[1], datetime.now(UTC).date())
