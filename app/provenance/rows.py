"""Write served lists to the database: their rows, their inputs and the states of their models."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from app.db import partitions
from app.provenance import inputs, states
from app.provenance.record import ServedList
from app.recommendations.groups import GroupPick
from app.recommendations.recommend import Pick
from app.recommendations.steering.steer import Steering
from app.serving.snapshot import Snapshot

PARTITIONED = {"served_lists": "timestamptz", "served_inputs": "date"}
DIGEST_BYTES = 16
MAX_REMEMBERED = 100_000  # digests of stored inputs
FAST = 1  # zlib: three times as fast as the default, and 10 % larger

# Locked, so that a member who is deleted meanwhile is either gone here or waits for these rows.
MEMBERS = "SELECT id FROM users WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"
INPUTS = """
INSERT INTO served_inputs (served_on, digest, user_id, content)
SELECT * FROM unnest(%s::date[], %s::bytea[], %s::bigint[], %s::bytea[]) ON CONFLICT DO NOTHING
"""
COPY = """
COPY served_lists (served_at, id, request_id, user_id, field, model_version, model_state, arm, history_at,
    parameters, inputs, movie_ids, ranks, scores, propensities, promoted) FROM STDIN
"""
Key = tuple[date, bytes]


@dataclass(slots=True)
class Stored:
    """The rows that this process knows to be stored, and the inputs of the last catalog.

    `inputs`: keys of inputs. `touched`: when each state was last marked as used, in monotonic time.
    """

    inputs: set[Key] = field(default_factory=set)
    touched: dict[UUID, float] = field(default_factory=dict)
    catalog: tuple[Snapshot, list[bytes]] | None = None


@dataclass(slots=True)
class ServedBatch:
    """Rows of a batch, and its inputs by key: the member whose they are, and the bytes."""

    stored: Stored
    rows: list[tuple[int | None, tuple[Any, ...]]] = field(default_factory=list)
    inputs: dict[Key, tuple[int | None, bytes]] = field(default_factory=dict)
    masks: dict[tuple[Any, ...], bytes] = field(default_factory=dict)

    def add(self, served: ServedList) -> None:
        day = served.served_at.date()
        digests = b"".join(self._put(day, owner, content) for owner, content in self._inputs(served))
        row = (
            served.served_at,
            served.id,
            served.request_id,
            served.user_id,
            served.name,
            served.model.version,
            served.model.state.id,
            served.arm,
            served.shown_at,
            Jsonb(parameters(served)),
            digests,
            [pick.movie_id for pick in served.picks],
            [pick.rank for pick in served.picks],
            [pick.score for pick in served.picks],
            propensities(served),
            promoted(served),
        )
        self.rows.append((served.user_id, row))

    def _put(self, day: date, owner: int | None, content: bytes) -> bytes:
        """Add an input; return its digest. Two members with the same history have each their own."""
        person = b"" if owner is None else str(owner).encode()
        digest = blake2b(content, digest_size=DIGEST_BYTES, person=person[:16]).digest()
        key = (day, digest)
        if key not in self.stored.inputs:
            self.inputs.setdefault(key, (owner, content))
        return digest

    def _inputs(self, served: ServedList) -> Iterator[tuple[int | None, bytes]]:
        if served.shelf is not None:
            shelving = served.shelf.home.shelving
            yield served.user_id, inputs.of_history(shelving.user, shelving).packed()
            yield from self._of_steering(shelving.steering, served.user_id)
            yield None, inputs.of_trends(shelving.trends).packed()
            yield from ((None, content) for content in self._catalog(shelving.snapshot))
            return
        if served.genres is not None:
            yield from ((owner, inputs.of_history(user).packed()) for owner, user in served.users)
            yield from ((None, content) for content in self._catalog(served.snapshot))
            return
        yield None, self._mask(served)
        if served.promotions:
            yield None, self._promotions(served)
        for owner, user in served.users:
            yield owner, inputs.of_history(user).packed()
            if user.preferences:
                wished = Steering.of(served.snapshot, served.model, (), user.preferences)
                yield from self._of_steering(wished, owner)

    @staticmethod
    def _of_steering(steering: Steering, owner: int | None) -> Iterator[tuple[int | None, bytes]]:
        for of in inputs.of_steering(steering):
            yield (owner if of.kind == inputs.WISHES else None), of.packed()

    def _promotions(self, served: ServedList) -> bytes:
        """Made once for all lists of the batch with the same promotions, model and snapshot."""
        key = (id(served.model), id(served.snapshot), served.promotions)
        if key not in self.masks:
            steering = Steering.of(served.snapshot, served.model, served.promotions)
            self.masks[key] = inputs.of_promotions(steering).packed()
        return self.masks[key]

    def _mask(self, served: ServedList) -> bytes:
        """Made once for all lists of the batch with the same filter, model and snapshot."""
        key = (id(served.model), id(served.snapshot), served.wish.filter)
        if key not in self.masks:
            mask = served.model.allowed(served.snapshot.mask(served.wish.filter))
            self.masks[key] = inputs.of_mask(mask).packed()
        return self.masks[key]

    def _catalog(self, snapshot: Snapshot) -> list[bytes]:
        """Packed once for all snapshots with the same movies."""
        last = self.stored.catalog
        if last is None or last[0].facts is not snapshot.facts:
            last = self.stored.catalog = snapshot, [of.packed() for of in inputs.of_catalog(snapshot)]
        return last[1]


def parameters(served: ServedList) -> dict[str, Any]:
    """The parameters of a list, as JSON; those that are not given are left out."""
    wish, shelf = served.wish, served.shelf
    movie_filter = {name: value for name in wish.filter.__slots__ if (value := getattr(wish.filter, name))}
    given: dict[str, Any] = {
        "filter": movie_filter,
        "diversity": wish.diversity,
        "novelty": wish.novelty,
        "exclude": list(wish.exclude),
        "exploration": wish.exploration,
        "seed": wish.seed,
        "afterRank": served.after_rank,
        "ratedSince": [] if served.skipped is None else served.skipped.tolist(),
        "genres": list(served.genres or ()),
    }
    if shelf is not None:
        given |= {
            "shelves": shelf.count,
            "perShelf": shelf.per_shelf,
            "kind": str(shelf.shelf.kind),
            "subject": shelf.shelf.subject,
            "after": None if shelf.after is None else list(shelf.after),
        }
    return {"first": served.first} | {name: value for name, value in given.items() if value}


def propensities(served: ServedList) -> list[float] | None:
    """The propensities of the movies of a list with exploration."""
    known = [pick.propensity for pick in served.picks if isinstance(pick, Pick) and pick.propensity]
    return known or None


def promoted(served: ServedList) -> list[int] | None:
    """Ids of the movies whose place a promotion decided: outcomes of experiments leave them out."""
    found = [pick.movie_id for pick in served.picks if isinstance(pick, Pick | GroupPick) and pick.promoted]
    return found or None


def store(connection: psycopg.Connection, lists: Sequence[ServedList], stored: Stored) -> int:
    """Store lists in one transaction; return their number without those of members deleted since.

    Lists that are stored already, because the answer to an earlier attempt was lost, are left as they are.
    """
    batch = ServedBatch(stored)
    for served in lists:
        batch.add(served)
    partitions.make(connection, PARTITIONED, {served.served_at.date() for served in lists})
    used = list({served.model.state.id: served.model.state for served in lists}.values())
    owners = {owner for owner, _ in batch.inputs.values()} | {owner for owner, _ in batch.rows}
    try:
        with connection.transaction():
            params = (sorted(owner for owner in owners if owner is not None),)
            there = {None, *(id_ for (id_,) in connection.execute(MEMBERS, params))}
            states.store(connection, used)
            states.touch(connection, used, stored.touched)
            _store_inputs(connection, batch, there)
            kept = [row for owner, row in batch.rows if owner in there]
            with connection.cursor().copy(COPY) as copy:
                for row in kept:
                    copy.write_row(row)
    except psycopg.errors.UniqueViolation:
        kept = []
    states.forget(used)
    if len(stored.inputs) > MAX_REMEMBERED:
        stored.inputs.clear()
    stored.inputs.update(batch.inputs)
    return len(kept)


def _store_inputs(connection: psycopg.Connection, batch: ServedBatch, there: set[int | None]) -> None:
    """Store the inputs that are not there, in the order of their keys, so that processes do not deadlock."""
    kept = sorted(key for key, (owner, _) in batch.inputs.items() if owner in there)
    owners, contents = zip(*(batch.inputs[key] for key in kept), strict=True) if kept else ((), ())
    params = (
        [day for day, _ in kept],
        [digest for _, digest in kept],
        list(owners),
        [zlib.compress(content, FAST) for content in contents],
    )
    connection.execute(INPUTS, params)


def remove_before(connection: psycopg.Connection, day: date) -> None:
    """Drop the lists and inputs of earlier days, and the states of models that no list has used since."""
    partitions.drop_before(connection, PARTITIONED, day)
    states.remove_unused(connection, day)
