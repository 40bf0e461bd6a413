"""Reports of loads: counts of stored rows, and rows that were not used."""

from dataclasses import dataclass, field
from typing import Any

SAMPLES = 50  # rows kept per reason, as examples
SAMPLE_WIDTH = 160  # characters shown of a row

SHOWN_CHARACTERS = 200


def shown(text: str, width: int = SHOWN_CHARACTERS) -> str:
    """Make text of a file safe for a terminal: one line, truncated, without control characters."""
    cut = text[: width + 1]
    plain = "".join(char if char.isprintable() else " " if char in "\t\r\n" else "\ufffd" for char in cut)
    return plain if len(plain) <= width else plain[: width - 1] + "\u2026"


class SourceError(Exception):
    """The source cannot be loaded. The message says why: it is missing, damaged or of another kind."""


class UnusableRowError(SourceError):
    """The first invalid row, if `strict` is on. Nothing of the load has been stored."""


@dataclass(frozen=True, slots=True)
class Sample:
    file: str
    line: int  # 1-based; the first line of a row with line breaks
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
    """Counts and unused rows of a load.

    `skipped`: invalid rows, by reason. `set_aside`: rows that are left out without loss, such as repeated
    ones; they are no error under `strict`.
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
        """Report an invalid row. Raises UnusableRowError if `strict` is on."""
        if self.strict:
            raise UnusableRowError(f"{shown(file)}, line {line}: {reason}: {shown(text, SAMPLE_WIDTH)}")
        _count(self.skipped, reason, file, line, text)

    def put_aside(self, reason: str, file: str, line: int, text: str) -> None:
        """Report a row that is left out without loss."""
        _count(self.set_aside, reason, file, line, text)

    @property
    def skipped_count(self) -> int:
        return sum(entry.count for entry in self.skipped.values())

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""

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
    """A Progress that does nothing."""


def _count(reasons: dict[str, Skipped], reason: str, file: str, line: int, text: str) -> None:
    entry = reasons.setdefault(reason, Skipped())
    entry.count += 1
    if len(entry.samples) < SAMPLES:
        entry.samples.append(Sample(file, line, shown(text, SAMPLE_WIDTH)))
