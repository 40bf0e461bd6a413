"""Rows of a batch of movies, and the outcome of each."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.catalog.validation import InvalidMovie, checked, external_id

MAX_ROWS = 1_000
REPEATED = "externalId: row {} has the same id."


class RowStatus(enum.StrEnum):
    ADDED = "ADDED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class MovieRow:
    """A row whose fields are valid. `facts`: see `validation.checked`."""

    position: int
    external_id: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The outcome of a row. `movie_id`: of the movie that it names; None if it was refused.

    `error`: why it was refused: InvalidMovie or MovieExists.
    """

    position: int
    external_id: str
    status: RowStatus
    movie_id: int | None = None
    error: Exception | None = None


class InvalidBatch(Exception):
    """A rule on the whole batch. An expected failure; its message is shown to the client."""


def refused(position: int, id_: str, error: Exception) -> RowOutcome:
    return RowOutcome(position, id_, RowStatus.REFUSED, error=error)


class Given(NamedTuple):
    """A row as it arrived, at its position in the batch or line of the file."""

    position: int
    external_id: str
    fields: Mapping[str, Any]


def read(given: Iterable[Given], seen: dict[str, int]) -> tuple[list[MovieRow], list[RowOutcome]]:
    """Validate rows; return the valid ones, and the outcomes of the others.

    seen: positions of the rows before by their external ids, to which these are added. Of rows with one id,
    the first counts.
    """
    rows: list[MovieRow] = []
    outcomes: list[RowOutcome] = []
    for position, id_, fields in given:
        try:
            row = MovieRow(position, external_id(id_), checked(fields))
        except InvalidMovie as error:
            outcomes.append(refused(position, id_, error))
            continue
        if (before := seen.setdefault(row.external_id, position)) != position:
            outcomes.append(refused(position, id_, InvalidMovie(REPEATED.format(before))))
        else:
            rows.append(row)
    return rows, outcomes


def in_order(outcomes: Sequence[RowOutcome]) -> list[RowOutcome]:
    return sorted(outcomes, key=lambda outcome: outcome.position)
