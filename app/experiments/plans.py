"""The plan of an experiment, and its rules."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.experiments.assignment import Arm, Design, Target

MAX_ARMS = 10
MAX_NAME_LENGTH = 64
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_LENGTH - 1}}}")
MAX_PERIOD_HOURS = 24 * 7
MAX_MIN_RATINGS = 100_000
MIN_SHARE = 0.001
CLOSE = 1e-9  # sums of shares have rounding errors


class InvalidExperiment(Exception):
    """An experiment that breaks a rule. The message, for the client, names the field, rule and remedy."""

    def __init__(self, field_name: str, rule: str) -> None:
        super().__init__(f"{field_name} {rule}")
        self.field = field_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An experiment to start. `ends_at`: None for `registry.DAYS` after the start."""

    name: str
    arms: Sequence[Arm]
    layer: str = "default"
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    design: Design = Design.FIXED
    period_hours: int | None = None
    target: Target = field(default_factory=Target)


def validate(plan: Plan) -> None:
    """Check all that needs no database. Raises InvalidExperiment."""
    for name, value in (("name", plan.name), ("layer", plan.layer)):
        require_name(name, value)
    validate_arms(plan.arms)
    if not 0 <= plan.target.min_ratings <= MAX_MIN_RATINGS:
        raise InvalidExperiment("minRatings", f"must be from 0 to {MAX_MIN_RATINGS}.")
    if plan.design is Design.FIXED and plan.period_hours is not None:
        raise InvalidExperiment("periodHours", "is for the design SWITCHBACK. Leave it out.")
    if plan.design is Design.SWITCHBACK:
        if not 1 <= (plan.period_hours or 0) <= MAX_PERIOD_HOURS:
            raise InvalidExperiment("periodHours", f"must be from 1 to {MAX_PERIOD_HOURS} for a SWITCHBACK.")
        if len(plan.arms) < 2:  # noqa: PLR2004 - to switch between
            raise InvalidExperiment("arms", "must be two or more for a SWITCHBACK.")


def validate_arms(arms: Sequence[Arm]) -> None:
    if not 1 <= len(arms) <= MAX_ARMS:
        raise InvalidExperiment("arms", f"must be 1 to {MAX_ARMS}, not {len(arms)}.")
    for place, arm in enumerate(arms):
        at = f"arms[{place}]"
        require_name(f"{at}.name", arm.name)
        if arm.name in {earlier.name for earlier in arms[:place]}:
            raise InvalidExperiment(f"{at}.name", f"is the name of an earlier arm: {arm.name}.")
        require_fraction(f"{at}.share", arm.share, MIN_SHARE)
        for parameter in ("diversity", "exploration"):
            if (value := getattr(arm, parameter)) is not None:
                require_fraction(f"{at}.{parameter}", value, 0.0)
    total = sum(arm.share for arm in arms)
    if total > 1 + CLOSE:
        raise InvalidExperiment("arms", f"have shares that add up to {total:g}, which is more than 1.")


def require_name(field_name: str, value: str) -> None:
    if not NAME.fullmatch(value):
        raise InvalidExperiment(
            field_name,
            f"must have 1 to {MAX_NAME_LENGTH} letters, digits, '.', '_' and '-', first a letter or digit.",
        )


def require_fraction(field_name: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and least <= value <= 1):
        raise InvalidExperiment(field_name, f"must be from {least:g} to 1.")
