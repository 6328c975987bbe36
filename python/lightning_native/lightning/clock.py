"""The clock that a cloud bills by."""

from collections.abc import Mapping

# Set by a local cloud whose clock is not this computer's.
ENV_CLOCK_RATE = "LIGHTNING_NATIVE_CLOCK_RATE"


def clock_rate(environ: Mapping[str, str]) -> float:
    """Return the seconds that a cloud bills for each second of this computer's clock: 1 for Lightning."""
    try:
        rate = float(environ.get(ENV_CLOCK_RATE) or 1.0)
    except ValueError:
        return 1.0
    return rate if 0 < rate < float("inf") else 1.0
