"""Limits for connections to the server, also without a key: their number, and the time until a request is complete.

The size of a request's head is bounded by h11; bodies are bounded where they are read.
"""

import asyncio

from h11 import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 1024
# From the first byte until the head of a request is complete, and for the unread rest of a body.
_PATIENCE_SECONDS = 30.0


class Connection(H11Protocol):
    """One connection, closed when its client takes too long over a request."""

    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Accept a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Accept data from the client."""
        super().data_received(data)
        if not self.transport.is_closing() and self.transport.get_protocol() is self:
            self._watch()

    def handle_websocket_upgrade(self, event: Request) -> None:
        """Hand the connection to the WebSocket protocol, which has timeouts of its own."""
        self._stop_watching()
        super().handle_websocket_upgrade(event)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        if self._is_answering():
            self._stop_watching()
        elif self._impatience is None:
            self._impatience = self.loop.call_later(_PATIENCE_SECONDS, self._give_up)

    def _stop_watching(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _give_up(self) -> None:
        self._impatience = None
        if not self._is_answering():
            self.transport.close()
