"""Numbers with units, and times, for people."""

import time


def human_bytes(count: float) -> str:
    """Return `1.5 MB` for 1500000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def human_seconds(seconds: float) -> str:
    """Return `45.0 s`, `3 min 20 s` or `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def human_time(at: float) -> str:
    """Return `2026-11-30 14:05:09`, in this computer's time zone, for seconds since the epoch."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def human_dollars(dollars: float | None) -> str:
    """Return `$1.50`, with more digits below a dollar; `?` if the cost is unknown."""
    if dollars is None:
        return "?"
    return f"${dollars:.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.4f}"
