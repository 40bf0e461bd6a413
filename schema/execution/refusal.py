"""A request that is not executed."""

from schema.core.errors import CallerError


class Refused(Exception):
    """A request that is answered with this status and error, whatever media type the client accepts."""

    def __init__(
        self, error: str | CallerError, status: int = 400, headers: dict[str, str] | None = None
    ) -> None:
        self.error = CallerError(error) if isinstance(error, str) else error
        super().__init__(self.error.message)
        self.status = status
        self.headers = headers or {}
