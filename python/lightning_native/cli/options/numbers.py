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


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_BYTES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def duration(text: str) -> float:
    """Return the seconds of an age such as `90s`, `12h`, `30d` or `2w`."""
    if text[-1:] not in _SECONDS:
        # A bare number would be read as days by one reader and as seconds by another.
        raise ValueError(text)
    return _finite(text[:-1]) * _SECONDS[text[-1:]]


def size(text: str) -> int:
    """Return the bytes of a size such as `5G` or `500M`; the units are powers of 1,000."""
    amount, unit = text.removesuffix("B").removesuffix("b"), ""
    if amount[-1:].upper() in _BYTES:
        amount, unit = amount[:-1], amount[-1:].upper()
    return int(_finite(amount) * _BYTES.get(unit, 1))


def _finite(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
