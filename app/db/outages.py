"""Log a fault that a loop meets again and again once, and its end."""

import logging
from dataclasses import dataclass

import psycopg
from sqlalchemy.exc import SQLAlchemyError

OF_DATABASE = (SQLAlchemyError, psycopg.Error, OSError)


@dataclass(slots=True)
class FaultLog:
    """The current fault of one loop. `message`: what it cannot do.

    Errors of the database are logged in one line: their traceback shows nothing of use to an operator. Within
    an outage their texts differ, so all of them count as one fault.
    """

    log: logging.Logger
    message: str
    fault: str | None = None

    def note(self, error: Exception) -> None:
        """Log an error unless it is the current fault. Call it where the error is handled."""
        is_of_database = isinstance(error, OF_DATABASE)
        fault = "database" if is_of_database else repr(error)
        if fault == self.fault:
            return
        self.fault = fault
        if is_of_database:
            self.log.warning("%s; retrying: %s", self.message, str(error).partition("\n")[0])
        else:
            self.log.error("%s; retrying", self.message, exc_info=error)

    def end(self) -> None:
        """Log the end of the current fault, if there is one."""
        if self.fault is not None:
            self.fault = None
            self.log.warning("%s: this is over", self.message)
