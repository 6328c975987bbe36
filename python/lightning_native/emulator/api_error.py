"""The error of a refused request: services raise it, and the application answers with it."""


class ApiError(Exception):
    """A refused request: the HTTP status, the reason, and gRPC's code if it is not the one of the status."""

    def __init__(self, status: int, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
