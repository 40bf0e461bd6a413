"""Match credits to people, by TMDB id or else by name."""

from collections.abc import Iterable
from dataclasses import replace

from seeds.movies import Credit
from seeds.store.bulk_copy import Cursor


class People:
    """People of the database, and new people of credits, which `write` stores.

    A person without a TMDB id is identified with the first credit of the same name that has one.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._ids: dict[int | str, int] = {}  # TMDB id, or name if there is none -> id in the database
        self._names: dict[int, str] = {}  # TMDB id -> name
        self._linked: dict[str, list[int]] = {}  # name -> TMDB ids
        self._claimed: dict[str, int] = {}  # name -> TMDB id found for a person without one
        self._unlinked: dict[str, None] = {}  # names without a TMDB id
        for person_id, tmdb_id, name in cursor.execute("SELECT id, tmdb_id, name FROM people ORDER BY id"):
            self._ids[name if tmdb_id is None else tmdb_id] = person_id
            if tmdb_id is None:
                self._unlinked[name] = None
            else:
                self._link(name, tmdb_id)

    def resolve(self, credit: Credit) -> Credit:
        """The credit with the name and TMDB id of its person in the database."""
        if credit.tmdb_id is None:
            linked = self._linked.get(credit.name, [])
            if credit.name in self._claimed:
                return replace(credit, tmdb_id=self._claimed[credit.name])
            if credit.name not in self._ids and len(linked) == 1:
                return replace(credit, tmdb_id=linked[0])
            self._unlinked[credit.name] = None
            return credit
        if credit.tmdb_id not in self._names:
            self._link(credit.name, credit.tmdb_id)
            if credit.name in self._unlinked:
                del self._unlinked[credit.name]
                self._claimed[credit.name] = credit.tmdb_id
        return replace(credit, name=self._names[credit.tmdb_id])

    def write(self, cursor: Cursor, credits_: Iterable[Credit]) -> None:
        """Store TMDB ids found for stored people, and the new people of resolved credits."""
        for name, tmdb_id in self._claimed.items():
            if name in self._ids:
                self._ids[tmdb_id] = self._ids.pop(name)
                cursor.execute("UPDATE people SET tmdb_id = %s WHERE id = %s", (tmdb_id, self._ids[tmdb_id]))
        new = [key for key in dict.fromkeys(map(self._key, credits_)) if key not in self._ids]
        if new:
            tmdb_ids = [key if isinstance(key, int) else None for key in new]
            names = [self._names[key] if isinstance(key, int) else key for key in new]
            cursor.execute(
                "INSERT INTO people (tmdb_id, name) SELECT * FROM unnest(%s::bigint[], %s::text[]) "
                "RETURNING coalesce(tmdb_id::text, name), tmdb_id IS NOT NULL, id",
                (tmdb_ids, names),
            )
            for key, linked, person_id in cursor.fetchall():
                self._ids[int(key) if linked else key] = person_id

    def id_of(self, credit: Credit) -> int:
        """The id in the database of a resolved credit's person, after `write`."""
        return self._ids[self._key(credit)]

    def _key(self, credit: Credit) -> int | str:
        if credit.tmdb_id is not None:
            return credit.tmdb_id
        return self._claimed.get(credit.name, credit.name)

    def _link(self, name: str, tmdb_id: int) -> None:
        self._names[tmdb_id] = name
        self._linked.setdefault(name, []).append(tmdb_id)
