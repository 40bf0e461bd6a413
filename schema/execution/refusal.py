"""The refusal of a request before execution."""

from schema.core.errors import CallerError


class Refused(Exception):
    """Refuse the request with this status and error, for each media type that the client accepts."""

    def __init__(
        self, error: str | CallerError, status: int = 400, headers: dict[str, str] | None = None
    ) -> None:
        self.error = CallerError(error) if isinstance(error, str) else error
        super().__init__(self.error.message)
        self.status = status
        self.headers = headers or {}
