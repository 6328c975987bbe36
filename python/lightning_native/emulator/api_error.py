"""The error that a request is answered with: whatever refuses a request raises it."""


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
