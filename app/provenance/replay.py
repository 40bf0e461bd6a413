"""Read the record of a list, and make the list again from the model, history and filter it was made from."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from psycopg.rows import class_row

from app.provenance import inputs, states
from app.provenance.inputs import Input
from app.provenance.record import Placed
from app.provenance.rows import DIGEST_BYTES
from app.provenance.states import StateMissing
from app.recommendations import groups, home, onboarding, recommend
from app.recommendations.groups import Member
from app.recommendations.home import Standing
from app.recommendations.recommend import Wish
from app.recommendations.shelves import ShelfKind
from app.serving.model import Model
from app.serving.snapshot import MovieFilter
from recommender.model.artifact import ArtifactError

MAX_PAGES = 100  # of one list
MAX_LOADED = 2  # models kept for the next list
PLACE = ("after", "afterRank")  # parameters that say where a page begins

LISTS = """
SELECT served_at, served_lists.id, request_id, user_id, username, field, served_lists.model_version,
    model_state, code_version, arm, history_at, parameters, inputs, movie_ids, ranks, scores
FROM served_lists LEFT JOIN users ON users.id = user_id
LEFT JOIN model_states ON model_states.id = model_state
WHERE request_id = %s ORDER BY served_at, served_lists.id LIMIT %s
"""
INPUTS = "SELECT digest, content FROM served_inputs WHERE served_on = %s AND digest = ANY(%s)"


@dataclass(frozen=True, slots=True)
class RecordedList:
    """A row of `served_lists`. `username`: None for a visitor. `code_version`: of the serving process."""

    served_at: datetime
    id: UUID
    request_id: UUID
    user_id: int | None
    username: str | None
    field: str
    model_version: str
    model_state: UUID
    code_version: str | None
    arm: str | None
    history_at: datetime
    parameters: dict[str, Any]
    inputs: bytes
    movie_ids: list[int]
    ranks: list[int]
    scores: list[float]


@dataclass(frozen=True, slots=True)
class Replay:
    """A list made again. `same`: whether it has the same movies in the same order and at the same ranks.

    `reason`: why it could not be made; `movie_ids`, `ranks` and `scores` are empty then.
    """

    same: bool
    reason: str | None = None
    movie_ids: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


class NotReproducible(Exception):
    """An input of the list is gone. The message is for operators."""


def recorded(connection: psycopg.Connection, request_id: UUID) -> list[RecordedList]:
    """The pages served of the list with this id, in order of time, at most MAX_PAGES."""
    with connection.cursor(row_factory=class_row(RecordedList)) as cursor:
        return cursor.execute(LISTS, (request_id, MAX_PAGES)).fetchall()


@dataclass(slots=True)
class Replayer:
    """Makes lists again from a folder of models. `at_hand`: models by state, those made last included."""

    models: Path
    at_hand: dict[UUID, Model] = field(default_factory=dict)

    def replay(self, connection: psycopg.Connection, served: RecordedList) -> Replay:
        """Make a served list again."""
        try:
            picks = self._picks(connection, served)
        except NotReproducible as gone:
            return Replay(same=False, reason=str(gone))
        movie_ids, ranks = [pick.movie_id for pick in picks], [pick.rank for pick in picks]
        same = (movie_ids, ranks) == (served.movie_ids, served.ranks)
        return Replay(same, None, movie_ids, ranks, [pick.score for pick in picks])

    def candidates(self, connection: psycopg.Connection, served: RecordedList, first: int) -> Replay:
        """The first candidates that a served list was chosen from: those it showed and the next ones.

        They are not stored, because the stored model and history give them exactly.
        """
        given = {name: value for name, value in served.parameters.items() if name not in PLACE}
        return self.replay(connection, replace(served, parameters={**given, "first": first}))

    def _picks(self, connection: psycopg.Connection, served: RecordedList) -> Sequence[Placed]:
        found = inputs_of(connection, served)
        model = self.model_of(connection, served)
        given = served.parameters
        skipped = np.array(given.get("ratedSince", ()), np.int64)
        if "kind" in given:
            return shelf_of(found, model, served.history_at, given, skipped)
        if served.field == "onboarding":
            return asked(found, model, given)
        mask = inputs.mask_in(found[0])
        users = [inputs.history_in(of) for of in found if of.kind == inputs.HISTORY]
        steerings = inputs.steerings_in(found, model.hybrid.n_items)
        page = {"first": given["first"], "after_rank": given.get("afterRank", 0), "rated_since": skipped}
        if served.field == "groupRecommendations":
            members = [Member(0, "", user) for user in users]
            diversity = given.get("diversity", 0.0)
            return groups.recommend_from(
                mask, model, members, steerings=steerings, diversity=diversity, **page
            ).picks
        signed_in = served.user_id is not None
        return recommend.recommend_from(
            mask, model, users[0], wish_in(given), signed_in=signed_in, steering=steerings[0], **page
        ).picks

    def model_of(self, connection: psycopg.Connection, served: RecordedList) -> Model:
        """The model in the state that made the list. Raises NotReproducible if it cannot be had."""
        version, state = served.model_version, served.model_state
        if state not in self.at_hand:
            require_files(connection, self.models, version)
            try:
                model = states.model_at(connection, self.models, version, state)
            except (StateMissing, ArtifactError, OSError) as error:
                raise NotReproducible(str(error)) from None
            while len(self.at_hand) >= MAX_LOADED:
                del self.at_hand[next(iter(self.at_hand))]
            self.at_hand[state] = model
        return self.at_hand[state]


def inputs_of(connection: psycopg.Connection, served: RecordedList) -> list[Input]:
    """The inputs of a list, in their order. Raises NotReproducible if one is deleted."""
    digests = [
        served.inputs[start : start + DIGEST_BYTES] for start in range(0, len(served.inputs), DIGEST_BYTES)
    ]
    params = (served.served_at.astimezone(UTC).date(), list(set(digests)))
    found = {bytes(digest): content for digest, content in connection.execute(INPUTS, params)}
    if len(found) < len(set(digests)):
        raise NotReproducible(
            "A member whose history the list was made from has been deleted, with the history."
        )
    return [Input.unpacked(zlib.decompress(found[digest])) for digest in digests]


def require_files(connection: psycopg.Connection, models: Path, version: str) -> None:
    """Raise NotReproducible if the files of a model are removed or elsewhere."""
    query = "SELECT status FROM model_versions WHERE version = %s"
    if connection.execute(query, (version,)).fetchone() == ("REMOVED",):
        raise NotReproducible(
            f"The files of model {version} have been removed. `KEPT_MODELS` is the number of inactive models "
            "whose files are kept."
        )
    if not (models / version).is_dir():
        raise NotReproducible(f"The files of model {version} are not in {models}.")


def wish_in(given: dict[str, Any]) -> Wish:
    conditions: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.get("filter", {}).items()
    }
    return Wish(
        MovieFilter(**conditions),
        given.get("diversity", 0.0),
        given.get("novelty", 0.0),
        tuple(given.get("exclude", ())),
        given.get("exploration", 0.0),
        given.get("seed", 0),
    )


def asked(found: Sequence[Input], model: Model, given: dict[str, Any]) -> Sequence[Placed]:
    """The page of an onboarding list."""
    catalog, user = inputs.catalog_in(found), inputs.history_in(found[0])
    genres = [genre for genre in catalog.genres if genre.id in given.get("genres", ())]
    page = {"first": given["first"], "after_rank": given.get("afterRank", 0)}
    return onboarding.movies(catalog, model.aligned(catalog), genres, user.hidden, **page).movies


def shelf_of(
    found: Sequence[Input], model: Model, now: datetime, given: dict[str, Any], skipped: np.ndarray
) -> Sequence[Placed]:
    """The page of a shelf of a home page."""
    shelving = inputs.shelving_in(found, model, now, given.get("diversity", 0.0))
    page = home.put_up(shelving, given["shelves"], given["perShelf"])
    after = Standing(*given["after"]) if "after" in given else None
    kind, subject = ShelfKind(given["kind"]), given.get("subject")
    for shelf in page.shelves:
        if (shelf.kind, shelf.subject) == (kind, subject):
            shown = page.page(shelf, given["first"], after, frozenset(skipped.tolist()))
            return [pick for pick, _ in shown.picks]
    return []
