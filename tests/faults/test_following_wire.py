"""Connections of a follower are cut again and again, on either side: nothing is lost or doubled."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from awaiting import until
from following import ALL, Followed, Simple, Writing, with_tables
from proxy import Proxy
from sampling import choose_seed
from servers import Database
from windlass.engines.postgres.session import Connection
from windlass.following.applying import Applier, settle
from windlass.following.assembling import Limits
from windlass.following.follower import Applies
from windlass.following.routes import Routes
from windlass.model.relation import Name

CUTS = 12


def with_net_changes(connection: Connection) -> Applies:
    settle(connection)
    routes = Routes({name: name for name in (Name("public", one) for one in ALL)})
    routes.read(connection)
    return Applier(connection, routes)


@pytest.mark.parametrize("make", [Simple, with_net_changes], ids=["simple", "net"])
@pytest.mark.parametrize("cut_side", ["source", "target"])
def test_a_wire_that_is_cut_again_and_again_loses_and_doubles_nothing(
    logical: Callable[[int], Database], make: Callable[[Connection], Applies], cut_side: str
) -> None:
    chance = random.Random(choose_seed())
    followed = with_tables(Followed(logical(16), logical(18), make=make))
    server = followed.source.server if cut_side == "source" else followed.target.server
    with Proxy(server.port) as proxy:
        setattr(followed, f"{cut_side}_port", proxy.port)
        with followed.following(limits=Limits(rows=50, linger_seconds=0.01)) as follower:
            with Writing(followed.source) as writing:
                for _ in range(CUTS):
                    cuts = proxy.cuts
                    proxy.cut_after(chance.randrange(1, 60_000))
                    until(lambda before=cuts: proxy.cuts > before, "the cut")  # type: ignore[misc]
                    time.sleep(chance.random() / 20)  # at any point of what follows
                writing.stop()
            followed.catch_up(follower)
    assert writing.written > 100
    assert followed.rows("select count(*), count(distinct id), sum(id) from log") == [
        (writing.written, writing.written, writing.written * (writing.written + 1) // 2)
    ]
    assert followed.applied().changes == writing.written
