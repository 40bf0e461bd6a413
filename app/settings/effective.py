"""The settings as a process uses them, with their origin and without secrets."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.settings import SECRETS, Settings

OPTIONS = ("host", "port")  # that `marquee serve` also takes as options


PASSWORD = re.compile(r"(?<=://)[^/@]+@")  # of a URL, with the name of its user


class Origin(StrEnum):
    """The origin of a setting's value."""

    DEFAULT = "DEFAULT"
    ENVIRONMENT = "ENVIRONMENT"
    FILE = "FILE"
    OPTION = "OPTION"
    GENERATED = "GENERATED"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """A setting. `value`, `default`: as in the environment; None if unset, and for the value of a secret."""

    name: str
    value: str | None
    default: str | None
    source: Origin
    is_secret: bool
    description: str


def effective(settings: Settings) -> list[EffectiveSetting]:
    """All settings, by name. The environment is that of this process."""
    environment = {name.lower(): value for name, value in os.environ.items()}
    return [
        EffectiveSetting(
            name=name.upper(),
            value=None if name in SECRETS else as_text(getattr(settings, name)),
            default=as_text(field.default),
            source=source_of(name, settings, environment),
            is_secret=name in SECRETS,
            description=field.description or "",
        )
        for name, field in sorted(Settings.model_fields.items())
    ]


def source_of(name: str, settings: Settings, environment: Mapping[str, str]) -> Origin:
    """The origin of a value. `environment`: by lower-case name."""
    if name not in settings.model_fields_set:
        return Origin.DEFAULT
    if name in SECRETS and environment.get(f"{name}_file"):
        return Origin.FILE
    given = environment.get(name)
    if name in OPTIONS and given != as_text(getattr(settings, name)):
        return Origin.OPTION
    return Origin.GENERATED if given is None else Origin.ENVIRONMENT


def as_text(value: object) -> str | None:
    """A value as it is written in the environment, without the password of a URL."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else PASSWORD.sub("***@", str(value))
