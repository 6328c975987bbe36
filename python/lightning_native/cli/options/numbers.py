"""The numbers that options take; the name of each function is what a refusal calls its value."""


def seconds(text: str) -> float:
    """Return a finite number of seconds, of at least 0."""
    return _finite(text)


def dollars(text: str) -> float:
    """Return a finite number of dollars, of at least 0."""
    return _finite(text)


def rate(text: str) -> float:
    """Return a finite rate above 0."""
    value = _finite(text)
    if value == 0:
        raise ValueError(text)
    return value


def count(text: str) -> int:
    """Return a whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
