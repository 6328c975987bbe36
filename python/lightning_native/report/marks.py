"""The small parts of the page: names, anchors, states with their symbols, and the frame of a drawing."""

from collections.abc import Sequence
from hashlib import sha256
from html import escape

_LONGEST_NAME = 19
# A state is told by its symbol and word, not by its colour alone.
_SYMBOLS = {
    "succeeded": "✓",
    "completed": "✓",
    "failed": "✗",
    "stopped": "■",
    "skipped": "&ndash;",
    "running": "▶",
    "preparing": "…",
    "pending": "○",
}


def anchor(name: str, kind: str = "step") -> str:
    """Return the id of a step's place on the page, which any name has."""
    return f"{kind}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"


def marked(state: str) -> str:
    """Return a state with its symbol."""
    return f"<span class='mark {escape(state)}'>{_SYMBOLS.get(state, '')} {escape(state)}</span>"


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name for a place of limited width, escaped."""
    return escape(name if len(name) <= longest else f"{name[: longest - 1]}…")


def svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    """Return a drawing of its own width, which scrolls where there is less room."""
    return (
        f'<div class="wide"><svg role="img" aria-label="{title}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}">{"".join(parts)}</svg></div>'
    )
