"""The rules of `rules.toml`, asked of Prometheus."""

import json
import math
import tomllib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from commands import ReleaseFailed

RULES = Path(__file__).parent / "rules.toml"
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`query`: PromQL with {server}, {instance} and {seconds}, the time since the server has the version.

    `at_most` holds at each look, also without a value; `at_least` only counts at the end.
    """

    name: str
    query: str
    at_most: float = math.inf
    at_least: float = -math.inf


def rules_of(path: Path) -> list[Rule]:
    """Raises ReleaseFailed."""
    try:
        return [Rule(**given) for given in tomllib.loads(path.read_text())["rule"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ReleaseFailed(f"{path} has no valid rules: {error}") from None


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str

    def value(self, query: str) -> float | None:
        """The first value of a query; None if it has none. Raises ReleaseFailed."""
        try:
            with urlopen(  # noqa: S310 - the operator's address
                f"{self.url}/api/v1/query?{urlencode({'query': query})}", timeout=TIMEOUT_SECONDS
            ) as answer:
                found = json.load(answer)["data"]["result"]
        except (OSError, HTTPException, ValueError, KeyError) as error:
            raise ReleaseFailed(f"Prometheus at {self.url} does not answer a query: {error}") from None
        value = float(found[0]["value"][1]) if found else math.nan
        return None if math.isnan(value) else value  # 0/0 is NaN

    def broken(self, rule: Rule, server: str, instance: str, seconds: int, *, at_end: bool) -> str | None:
        """The reason why a rule does not hold for a server."""
        query = rule.query
        for name, value in (("server", server), ("instance", instance), ("seconds", str(seconds))):
            query = query.replace(f"{{{name}}}", value)
        value = self.value(query)
        if value is not None and value > rule.at_most:
            return f"{rule.name}: {value:.4g}, above {rule.at_most:g}"
        if at_end and rule.at_least > -math.inf and (value is None or value < rule.at_least):
            return f"{rule.name}: {value or 0:.4g}, below {rule.at_least:g}"
        return None
