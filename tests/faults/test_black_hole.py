"""A network that drops everything without an error: both ends notice.

A network namespace is a separate machine to TCP; its link is taken down while sessions wait. The
times are those of Windlass, shortened by the parameters that a user has for that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from command import environment
from needs import needs_program, needs_root
from servers import FAST, PASSWORD, Server

SOON = "keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000"
SECONDS = 20.0  # to notice, of a machine that does much else

# five sessions, each waiting in its own way; says how each of them ends
WAITING = """
    import asyncio, sys, threading
    from windlass.engines.postgres.copy import In
    from windlass.engines.postgres.bulk import AsyncpgBulk, LibpqBulk
    from windlass.engines.postgres.keepalive import Loop
    from windlass.engines.postgres.session import Address, Role
    from windlass.errors import WindlassError
    from windlass.model.relation import Name, Wire

    address = Address.parse("target", sys.argv[1])
    control = address.connect(Role.TARGET, "waiting control")
    control.execute("select pg_advisory_lock(1)")
    control.execute("create table public.t (a text)")
    ready = threading.Barrier(5)

    def ends(name, wait):
        try:
            wait()
        except Exception as error:
            # one write: the threads end together
            print(f"{name} {type(error).__name__}\\n", end="", flush=True)

    def statement():
        session = address.connect(Role.TARGET, "waiting statement")
        ready.wait()
        session.execute("select pg_sleep(3600)")

    def bulk(kind, work):
        async def run():
            like = address.connect(Role.TARGET, "waiting bulk")
            if kind is AsyncpgBulk:
                made = AsyncpgBulk(await address.connect_async(like, Role.TARGET, "waiting bulk"))
            else:
                made = LibpqBulk(address.connect(Role.TARGET, "waiting bulk"))
            ready.wait()
            await work(made)
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(run())

    async def reading(made):
        await made.execute("select pg_sleep(3600)")

    async def writing(made):
        async def blocks():
            while True:
                yield b"x" * 65535 + b"\\n"
                await asyncio.sleep(0.01)
        await made.copy_in(In(Name("public", "t"), ["a"], Wire.TEXT, False), blocks())

    threads = [
        threading.Thread(target=ends, args=("statement", statement)),
        threading.Thread(target=ends, args=("reading", lambda: bulk(AsyncpgBulk, reading))),
        threading.Thread(target=ends, args=("writing", lambda: bulk(AsyncpgBulk, writing))),
        threading.Thread(target=ends, args=("libpq", lambda: bulk(LibpqBulk, writing))),
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    print("ready", flush=True)
    for thread in threads:
        thread.join()
    ends("control", lambda: control.execute("select 1"))
"""


@dataclass
class Apart:
    """A separate machine, behind a router."""

    name: str
    router: str
    here: str  # this machine, as that one sees it

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *words],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def cut(self) -> None:
        """The router forgets its trade: it drops what it gets, and says nothing to either side."""
        forwards(self.router, "0")


def forwards(router: str, is_so: str) -> None:
    _ip("netns", "exec", router, "sysctl", "-w", f"net.ipv4.ip_forward={is_so}")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def _apart() -> Iterator[Apart]:
    number, mark = os.getpid() % 250, os.getpid()
    name, router, link = f"wl-apart-{mark}", f"wl-router-{mark}", f"wlh{mark}"[:15]
    net = f"10.231.{number}"
    with ExitStack() as stack:
        for one in (name, router):
            _ip("netns", "add", one)
            stack.callback(_ip, "netns", "del", one)
        _ip("link", "add", link, "type", "veth", "peer", "name", "near", "netns", router)
        _ip("-n", name, "link", "add", "out", "type", "veth", "peer", "far", "netns", router)
        _up("", link, f"{net}.1/30")
        _up(router, "near", f"{net}.2/30")
        _up(router, "far", f"{net}.5/30")
        _up(name, "out", f"{net}.6/30")
        _ip("route", "add", f"{net}.4/30", "via", f"{net}.2")
        _ip("-n", name, "route", "add", "default", "via", f"{net}.5")
        forwards(router, "1")
        yield Apart(name, router, f"{net}.1")


def _up(namespace: str, link: str, address: str) -> None:
    within = ["-n", namespace] if namespace else []
    _ip(*within, "addr", "add", address, "dev", link)
    _ip(*within, "link", "set", link, "up")


@pytest.fixture
def apart() -> Iterator[Apart]:
    needs_root("makes networks")
    needs_program("ip")
    needs_program("sysctl")
    with _apart() as found:
        yield found


def test_both_ends_notice_that_the_network_is_gone(
    apart: Apart, own_server: Callable[..., Server]
) -> None:
    server = own_server(18, {**FAST, "listen_addresses": "*"})
    with (server.data / "pg_hba.conf").open("a") as hba:
        hba.write(f"host all all {apart.here}/24 scram-sha-256\n")
    server.admin.run("select pg_reload_conf()")
    place = f"host={apart.here} port={server.port} user=postgres dbname=postgres {SOON}"
    script = textwrap.dedent(WAITING)
    process = apart.start(sys.executable, "-c", script, f"{place} password='{PASSWORD}'")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.stdout.read()
    apart.cut()
    since = time.monotonic()
    said, _ = process.communicate(timeout=120)
    took = time.monotonic() - since
    assert {line.split()[0] for line in said.splitlines()} == {
        "statement",
        "reading",
        "writing",
        "libpq",
        "control",
    }, said
    assert took < SECONDS
    waiting = "select count(*) from pg_stat_activity where application_name like 'waiting%'"
    while server.admin.value(waiting):
        assert time.monotonic() - since < SECONDS + 10, "the server keeps its ends"
        time.sleep(0.1)
    assert server.admin.value("select count(*) from pg_locks where locktype = 'advisory'") == 0
