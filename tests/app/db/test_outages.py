"""A lasting fault is logged once."""

import logging

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from app.db.outages import FaultLog

log = logging.getLogger("marquee.test")


def test_an_outage_of_the_database_is_one_line_and_its_end_another(caplog: pytest.LogCaptureFixture) -> None:
    faults = FaultLog(log, "cannot read")
    for error in (
        psycopg.OperationalError("server closed\nthe connection"),
        OperationalError("SELECT 1", {}, psycopg.OperationalError("the database is starting up")),
        ConnectionRefusedError("refused"),
    ):
        faults.note(error)
    faults.end()
    faults.end()
    assert [record.getMessage() for record in caplog.records] == [
        "cannot read; retrying: server closed",
        "cannot read: this is over",
    ]
    assert not any(record.exc_info for record in caplog.records)
    faults.note(psycopg.OperationalError("again"))
    assert caplog.records[-1].getMessage() == "cannot read; retrying: again"


def test_another_fault_has_one_traceback(caplog: pytest.LogCaptureFixture) -> None:
    faults = FaultLog(log, "cannot read")
    for value in ("a", "a", "b"):
        faults.note(ValueError(value))
    assert [bool(record.exc_info) for record in caplog.records] == [True, True]
