"""A server that cannot be reached is not one that refuses: trying again may help."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import REFUSED, STOPPED, Ran, migrate, windlass
from proxy import Proxy
from servers import Pair, free_port


def problem(ran: Ran) -> dict[str, str]:
    """The only one."""
    (found,) = ran.result["problems"]
    return {str(key): str(value) for key, value in found.items()}


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("command", ["migrate", "plan", "verify"])
def test_a_server_that_is_down_can_be_up_next_time(pair: Pair, side: str, command: str) -> None:
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/shop"
    ran = windlass(command, "--json", pair=pair, env={f"WINDLASS_{side.upper()}": url})
    assert problem(ran.expect(STOPPED)) == {
        "object": side,
        "message": f"127.0.0.1:{port}/shop: Connection refused",
        "hint": "check that the server is up, and host and port",
    }
    assert ran.result["message"] == f"{side} cannot be reached"
    assert "run the same command again once it can be reached" in ran.result["hint"]


def test_the_person_reads_it_once(pair: Pair) -> None:
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/shop"
    said = windlass("migrate", pair=pair, env={"WINDLASS_TARGET": url}).expect(STOPPED).said
    assert said.count(str(port)) == 1


@pytest.mark.parametrize("command", [("status",), ("rollback", "--yes", "20260101_0000_abcd")])
def test_other_commands_as_well(command: tuple[str, ...]) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/shop"
    windlass(*command, env={"WINDLASS_TARGET": url}).expect(STOPPED)


@pytest.mark.parametrize("run", [(), ("--run", "monday")], ids=["new", "resumed"])
def test_an_export_as_well(run: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"source: postgresql://postgres@127.0.0.1:{free_port()}/shop\n"
        f"to: file://{tmp_path}/files\nrelations: [shop.orders]\n"
    )
    ran = windlass("export", "--json", "-f", str(spec), *run).expect(STOPPED)
    assert problem(ran)["object"] == "source"
    assert "run the same command again" in ran.result["hint"]


def test_a_server_that_does_not_answer(pair: Pair) -> None:
    with Proxy(pair.source.server.port) as proxy:
        proxy.stall()
        url = pair.source.url_for(port=proxy.port, connect_timeout="2")
        ran = migrate(pair, env={"WINDLASS_SOURCE": url}).expect(STOPPED)
        assert "timeout" in problem(ran)["message"]
        proxy.flow()


def test_of_two_sides_the_one_that_is_refused_for_good_decides(pair: Pair) -> None:
    env = {
        "WINDLASS_SOURCE": f"postgresql://postgres@127.0.0.1:{free_port()}/shop",
        "WINDLASS_TARGET": pair.target.url.replace("Sw0rdfish", "Wr0ngfish"),
    }
    ran = migrate(pair, env=env).expect(REFUSED)
    assert [one["object"] for one in ran.result["problems"]] == ["source", "target"]


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("postgresql://postgres@nowhere.invalid/x", "nowhere.invalid", "check the host's name"),
        ("127.0.0.1", "there is no service 127.0.0.1", "postgresql://127.0.0.1/DATABASE"),
        ("prod", "there is no service prod", "PGSERVICEFILE"),
    ],
)
def test_a_source_that_is_misnamed(pair: Pair, source: str, message: str, hint: str) -> None:
    found = problem(migrate(pair, env={"WINDLASS_SOURCE": source}).expect(REFUSED))
    assert message in found["message"]
    assert hint in found["hint"]


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        ("foo", "foo is not the id of a snapshot"),
        ("00000003-00000002-1", "snapshot 00000003-00000002-1 does not exist"),
    ],
)
@pytest.mark.parametrize("pair", [(16, 18), (18, 18)], indirect=True)
def test_a_snapshot_that_nobody_holds(pair: Pair, snapshot: str, message: str) -> None:
    found = problem(migrate(pair, "--snapshot", snapshot).expect(REFUSED))
    assert message in found["message"]
    assert "pg_export_snapshot()" in found["hint"]
