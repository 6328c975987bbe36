"""The error of a refused request: services raise it, and the application answers with it."""


class ApiError(Exception):
    """A refused request: the HTTP status and the reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
