"""Training hyper-parameters."""

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

# Minimum of each integer; minimum and maximum of each number.
WHOLE = {"factors": 1, "iterations": 1, "item_weight_bytes": 0, "seed": 0}
NUMBERS = {
    "regularization": (1e-9, 1e3),
    "alpha0": (1e-6, 1e3),
    "item_ridge": (1e-3, 1e9),
    "item_dropout": (0.0, 0.99),
    "item_content": (0.0, 1e9),
    "item_sittings": (0.0, 1e3),
}


class InvalidSettings(ValueError):
    """An invalid hyper-parameter; the message has its name, its rule, and the file it was read from."""


@dataclass(frozen=True, slots=True)
class Config:
    """Hyper-parameters. The defaults are chosen on validation splits of several data sets.

    Raises InvalidSettings for a value out of range.
    """

    factors: int = 128  # fewer if there are fewer users or items
    regularization: float | None = None  # None: estimated from the ratings by `ials.regularization_for`
    alpha0: float = 0.4
    iterations: int = 12
    item_weight_bytes: int = 256 << 20  # memory limit of the item-to-item weights: 8,192 items
    item_ridge: float = 200.0  # the item_ settings are parameters of `edlae.ItemWeights.fit`
    item_dropout: float = 0.3
    item_content: float = 100.0
    item_sittings: float = 0.3  # the weight of sessions
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in WHOLE.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidSettings(f"{name} must be a whole number from {least}, not {value!r}")
        for name, (low, high) in NUMBERS.items():
            value = getattr(self, name)
            if value is None and name == "regularization":
                continue
            if type(value) not in (int, float) or not low <= value <= high:
                raise InvalidSettings(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read TOML or JSON, as written by `marquee tune`. Raises InvalidSettings."""
        known = [field.name for field in fields(cls)]
        try:
            text = file.read_text(encoding="utf-8")
            settings = dict(json.loads(text) if file.suffix == ".json" else tomllib.loads(text))
            if unknown := [name for name in settings if name not in known]:
                raise InvalidSettings(f"unknown setting {unknown[0]}; the settings are {', '.join(known)}")
            return cls(**settings)
        except (OSError, ValueError, TypeError) as error:
            raise InvalidSettings(f"{file}: {error}") from None
