"""The tables of a dump, and those that it leaves out with the reason.

A test compares both lists with the database, so each new table is in one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """The part of a dump that a table belongs to. CREDENTIALS and MODEL are written on demand."""

    DATA = "DATA"
    CREDENTIALS = "CREDENTIALS"
    MODEL = "MODEL"


TABLES: Mapping[str, Part] = {
    "movies": Part.DATA,
    "movie_titles": Part.DATA,
    "movie_external_ids": Part.DATA,
    "genres": Part.DATA,
    "movie_genres": Part.DATA,
    "people": Part.DATA,
    "credits": Part.DATA,
    "dataset_versions": Part.DATA,
    "users": Part.DATA,
    "external_members": Part.DATA,
    "merged_visitors": Part.DATA,
    "favorite_genres": Part.DATA,
    "ratings": Part.DATA,
    "feedback": Part.DATA,
    "list_preferences": Part.DATA,
    "promotions": Part.DATA,
    "experiments": Part.DATA,
    "experiment_arms": Part.DATA,
    "stream_positions": Part.DATA,
    "stream_counts": Part.DATA,
    "dead_letters": Part.DATA,
    "audit_log": Part.DATA,
    "api_keys": Part.CREDENTIALS,
    "member_batches": Part.CREDENTIALS,
    "known_networks": Part.CREDENTIALS,
    "training_data": Part.MODEL,
    "model_versions": Part.MODEL,
    "movie_vectors": Part.MODEL,
}
LEFT_OUT: Mapping[str, str] = {
    "alembic_version": "the manifest has the revision",
    "catalog_changes": "derived: triggers write it",
    "catalog_revision": "derived: triggers count it",
    "event_counts": "derived: triggers count the events",
    "movie_stats": "derived: triggers count the ratings",
    "model_states": "of served lists",
    "served_inputs": "of served lists",
    "served_lists": "records of lists, which expire; they need the files of all models",
    "night_members": "nights, which end within hours",
    "shadow_runs": "comparisons with models that are not in the dump",
    "sessions": "tokens: members sign in again",
    "refresh_tokens": "tokens: members sign in again",
    "sign_in_attempts": "limits, which are forgotten within minutes",
    "training_jobs": "the queue of running processes",
}
# Columns of tables of DATA that only a dump with credentials has.
CREDENTIALS: Mapping[str, frozenset[str]] = {
    "users": frozenset({"password_hash"}),
    "audit_log": frozenset({"api_key_id"}),  # of a row that is not in the dump
}
# Of the models, the active one is dumped.
ROWS: Mapping[str, str] = {
    "model_versions": "status = 'ACTIVE'",
    "training_data": "version IN (SELECT dataset_version FROM model_versions WHERE status = 'ACTIVE')",
}


@dataclass(frozen=True, slots=True)
class DumpParts:
    """The parts of a dump besides the data."""

    credentials: bool = False
    model: bool = False

    def tables(self) -> list[str]:
        parts = {Part.DATA}
        if self.credentials:
            parts.add(Part.CREDENTIALS)
        if self.model:
            parts.add(Part.MODEL)
        return [table for table, part in TABLES.items() if part in parts]

    def left_out_of(self, table: str) -> frozenset[str]:
        """The columns of a table that are not dumped."""
        return frozenset() if self.credentials else CREDENTIALS.get(table, frozenset())
