"""The format of log lines: text or JSON, with the id of the request that a line belongs to."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

TEXT = "%(asctime)s %(levelname)s %(name)s%(of_request)s: %(message)s"

# Set at the beginning of each request, whose tasks and threads inherit it.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

# Further members of a JSON line, such as the id of the trace.
members: list[Callable[[], dict[str, Any]]] = []


def start(log_format: str) -> None:
    """Log to standard error. Messages of libraries are logged from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class TextFormatter(logging.Formatter):
    """One line of text, and the lines of a traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        request_id = REQUEST_ID.get()
        record.of_request = "" if request_id is None else f" [{request_id}]"
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object in a line, with the traceback in a member."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            line["request_id"] = request_id
        for more in members:
            line |= more()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=repr).decode()
