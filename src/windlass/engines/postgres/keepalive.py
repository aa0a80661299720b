"""Both ends of every session notice within a minute when the network drops everything.

Without this, a session that waits for an answer waits for hours (TCP's default keepalive), and one
that waits to send for a quarter of an hour. A server would also keep the session of a dead client,
with its locks. The user's parameters for the client apply to the server's end as well.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

# 20 s of silence, then 4 questions 10 s apart; what is sent has to be received within 60 s
DEFAULTS = {
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "4",
    "tcp_user_timeout": "60000",
}
NOTICED_SECONDS = 90.0  # by either end, with a margin
# the server setting for its end of the connection
_ON_SERVER = {
    "keepalives_idle": "tcp_keepalives_idle",
    "keepalives_interval": "tcp_keepalives_interval",
    "keepalives_count": "tcp_keepalives_count",
    "tcp_user_timeout": "tcp_user_timeout",
}
_OPTIONS = {
    # the first is Linux's name, the second macOS's
    "keepalives_idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
    "keepalives_interval": ("TCP_KEEPINTVL",),
    "keepalives_count": ("TCP_KEEPCNT",),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT",),
}

Options = Sequence[tuple[int, int, int]]


def server_settings(given: Mapping[str, str], *, sends_rows: bool) -> dict[str, str]:
    """Settings for the server's end of a session.

    A server that sends rows may wait long while they cannot be written elsewhere, so its wait to
    send has no limit. `tcp_user_timeout` would end it (since Linux 5.11 also where the other end
    answers that it cannot take any more).
    """
    if given.get("keepalives") == "0":
        return {}
    found = {setting: given.get(name, DEFAULTS[name]) for name, setting in _ON_SERVER.items()}
    return found | ({"tcp_user_timeout": "0"} if sends_rows else {})


def socket_options(given: Mapping[str, str]) -> Options:
    """What libpq sets on its sockets, for sockets that are not libpq's."""
    found = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(given.get("keepalives") != "0"))]
    for name, options in _OPTIONS.items():
        value = int(given.get(name) or 0)
        number = next((getattr(socket, one) for one in options if hasattr(socket, one)), None)
        if value > 0 and number is not None:
            found.append((socket.IPPROTO_TCP, number, value))
    return found


KEPT: ContextVar[Options] = ContextVar("KEPT", default=())


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose TCP connections get the options in `KEPT`, before anything is sent."""

    async def create_connection(self, *words: Any, **options: Any) -> Any:
        """As the base class does."""
        transport, protocol = await super().create_connection(*words, **options)
        for option in KEPT.get():
            transport.get_extra_info("socket").setsockopt(*option)
        return transport, protocol
