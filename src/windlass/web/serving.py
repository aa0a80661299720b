"""Serves the page until Ctrl-C or SIGTERM; then ends its streams, interrupts the commands that it
runs, and waits for them."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from windlass.errors import BadSpec, WindlassError
from windlass.model.wording import Spelling, word
from windlass.web.access import Policy
from windlass.web.jobs import Jobs
from windlass.web.pages import make_app
from windlass.web.site import Site
from windlass.web.threads import end_with_threads, in_thread
from windlass.web.watched import Watched

log = logging.getLogger(__name__)

CERTIFICATE, KEY = word("tls-cert"), word("tls-key")
GRACE_SECONDS = 3  # for requests that are in progress at the end


@dataclass(frozen=True, slots=True)
class Place:
    """Where it listens. Port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = 8642
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"


def check_place(place: Place) -> None:
    """Raises:
    BadSpec: certificate or key is missing or cannot be read, or they do not match.
    """
    if (place.tls_cert is None) is not (place.tls_key is None):
        raise BadSpec([f"{CERTIFICATE} and {KEY} are given together"])
    faults = []
    for name, path in ((CERTIFICATE, place.tls_cert), (KEY, place.tls_key)):
        if path is not None:
            try:
                path.read_bytes()
            except OSError as error:
                faults.append(f"{name} {path}: {error.strerror}")
    if not faults and place.tls_cert is not None:
        faults += _pair_faults(place.tls_cert, place.tls_key)
    if faults:
        raise BadSpec(faults)


def _pair_faults(certificate: Path, key: Path | None) -> Iterator[str]:
    def locked() -> str:
        raise BadSpec([f"{KEY} {key}: is encrypted; give a key without a password"])

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, locked)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", "")  # of OpenSSL; it has none for a file that is not PEM
        more = f" ({reason.replace('_', ' ').lower()})" if reason else ", in PEM format"
        yield f"{CERTIFICATE} {certificate}, {KEY} {key}: not a certificate with its key{more}"


def serve(
    targets: tuple[Watched, ...],
    policy: Policy,
    place: Place,
    say: Callable[[str], None],
    spelling: Spelling,
    note: Callable[[str], None],
) -> None:
    """Serve until stopped; ends the process if readings are still in progress then. `say` is called
    with the page's address once it can be reached, `note` with what it waits for at its end;
    `spelling` writes options in messages.

    Raises:
        WindlassError: the port is in use, or the host is not one of this machine.
    """
    with _listening(place) as listener:
        asyncio.run(
            _serve(
                lambda stopping: make_app(targets, policy, spelling, stopping),
                place,
                listener,
                say,
                note,
            )
        )
    end_with_threads()


def _listening(place: Place) -> socket.socket:
    try:
        family = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((place.host, place.port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise WindlassError(
            f"{place.host}, port {place.port}: {reason}",
            hint=f"give another {word('port')}; 0 takes a free one",
        ) from None


async def _serve(
    make: Callable[[asyncio.Event], Starlette],
    place: Place,
    listener: socket.socket,
    say: Callable[[str], None],
    note: Callable[[str], None],
) -> None:
    stopping = asyncio.Event()
    app = make(stopping)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a user's header counts only from the proxies that we know
        ssl_certfile=place.tls_cert,
        ssl_keyfile=place.tls_key,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
    )
    server = _Server(config, stopping)
    site: Site = app.state.site
    port = listener.getsockname()[1]
    host = f"[{place.host}]" if ":" in place.host else place.host
    say(f"{place.scheme}://{host}:{port}/")
    ready = begin(site)
    try:
        await server.serve(sockets=[listener])
    finally:
        ready.cancel()
        await _stop(site.jobs, note)


def begin(site: Site) -> asyncio.Task[None]:
    """Get the page ready beside its first requests."""
    ready = asyncio.create_task(_get_ready(site))
    ready.add_done_callback(_note_failure)
    return ready


async def _get_ready(site: Site) -> None:
    """Read everything once, so that the first person who looks does not wait for imports."""
    await asyncio.gather(
        in_thread(site.render.get_ready),
        *(site.reader.runs(one, patience=0.0) for one in site.targets),
    )


def _note_failure(ready: asyncio.Task[None]) -> None:
    """The page is served all the same: what failed is tried again when somebody looks."""
    if not ready.cancelled() and (error := ready.exception()) is not None:
        log.error("getting the page ready failed", exc_info=error)


async def _stop(jobs: Jobs, note: Callable[[str], None]) -> None:
    """Stop. More signals do not cut it short: a cutover that is killed halfway would lock writers
    out."""

    def wait() -> None:
        note(f"Waiting for {', '.join(f'windlass {one.words[0]}' for one in jobs.running)}")

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, wait)
    if jobs.running:
        wait()
    await jobs.stop()


class _Server(uvicorn.Server):
    """Ends its streams as soon as it stops; otherwise it would wait for them. Does not raise the
    signal again at the end, because a signal is the normal way to end the page."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: object) -> None:
        self._stopping.set()
        self.force_exit = self.should_exit  # a second signal does not wait
        self.should_exit = True
