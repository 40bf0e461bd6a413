"""What a load did: what came in, what was there already, and every row that could not be used."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SAMPLES = 5  # rows shown for each reason
SAMPLE_WIDTH = 160  # characters of a row shown

SHOWN_CHARACTERS = 200

Progress = Callable[[str, float], None]  # what is being done, and the fraction of it that is done


def shown(text: str, width: int = SHOWN_CHARACTERS) -> str:
    """Text of a file as a terminal may show it: one line, cut, without control characters."""
    cut = text[: width + 1]
    plain = "".join(char if char.isprintable() else " " if char in "\t\r\n" else "\ufffd" for char in cut)
    return plain if len(plain) <= width else plain[: width - 1] + "\u2026"


class SourceError(Exception):
    """The source as a whole cannot be loaded: it is missing, damaged, or not what it is called."""


class UnusableRowError(SourceError):
    """Under `strict`: the first row that cannot be used. Nothing of the load has been stored."""


@dataclass(frozen=True, slots=True)
class Sample:
    file: str
    line: int  # 1-based; of a row with line breaks, its first line
    text: str


@dataclass(slots=True)
class Skipped:
    count: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass(slots=True)
class Count:
    added: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class Report:
    """`skipped` has the rows that could not be used, `set_aside` those that nothing is lost with.

    A row is set aside when it repeats another one word for word, or by a rule that `strict` does not contest.
    """

    dataset: str
    strict: bool = False
    movies: Count = field(default_factory=Count)
    members: Count = field(default_factory=Count)
    ratings: Count = field(default_factory=Count)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    set_aside: dict[str, Skipped] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, file: str, line: int, text: str) -> None:
        if self.strict:
            raise UnusableRowError(f"{shown(file)}, line {line}: {reason}: {shown(text, SAMPLE_WIDTH)}")
        _count(self.skipped, reason, file, line, text)

    def put_aside(self, reason: str, file: str, line: int, text: str) -> None:
        _count(self.set_aside, reason, file, line, text)

    @property
    def skipped_count(self) -> int:
        return sum(entry.count for entry in self.skipped.values())

    def as_dict(self) -> dict[str, Any]:
        """The report in values that JSON knows."""

        def rows(reasons: dict[str, Skipped]) -> dict[str, Any]:
            return {
                reason: {
                    "count": entry.count,
                    "samples": [{"file": s.file, "line": s.line, "text": s.text} for s in entry.samples],
                }
                for reason, entry in reasons.items()
            }

        def count(of: Count) -> dict[str, int]:
            return {"added": of.added, "updated": of.updated, "unchanged": of.unchanged}

        return {
            "dataset": self.dataset,
            "films": count(self.movies),
            "members": count(self.members),
            "ratings": count(self.ratings),
            "skipped": rows(self.skipped),
            "setAside": rows(self.set_aside),
            "notes": list(self.notes),
        }


def quiet(_stage: str, _fraction: float) -> None:
    """Progress that nobody watches."""


def _count(reasons: dict[str, Skipped], reason: str, file: str, line: int, text: str) -> None:
    entry = reasons.setdefault(reason, Skipped())
    entry.count += 1
    if len(entry.samples) < SAMPLES:
        entry.samples.append(Sample(file, line, shown(text, SAMPLE_WIDTH)))
