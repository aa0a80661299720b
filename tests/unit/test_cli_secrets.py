"""No password is shown, however it was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moves import QUOTED, SIDES, Capture, Moves, moves
from windlass.cli.main import run
from windlass.cli.voice import Voice
from windlass.errors import (
    ConnectionLost,
    WindlassError,
)
from windlass.model.hiding import HIDDEN, mask, secrets_in

__all__ = ["moves"]  # fixtures

PASSWORD = "Sw0rdfish-ünseen/%41"


# ----------------------------------------------------------------------------------------- secrets


SPELLINGS = [
    f"postgresql://app:{PASSWORD}@host:5432/shop",
    f"postgresql://app:{QUOTED}@host/shop?sslmode=require",
    f"postgresql+psycopg2://app:{QUOTED}@host/shop",
    f"postgresql://:{QUOTED}@/shop",
    f"host=h password={PASSWORD} user=app",
    f"host=h password = '{PASSWORD}' user=app",
    f"postgresql://host/shop?user=app&password={QUOTED}",
    f"odbc:DRIVER=SQL Server;SERVER=h;UID=app;PWD={PASSWORD};DATABASE=shop",
    f"odbc:DSN=shop;PWD={{{PASSWORD}}};DATABASE=shop",
    f"odbc://app:{QUOTED}@shop",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_password_is_masked_however_it_is_written(text: str) -> None:
    said = mask(f"could not reach {text}: no", tuple(secrets_in(text)))
    assert PASSWORD not in said
    assert QUOTED not in said
    assert HIDDEN in said


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_password_is_masked_where_it_stands_alone(text: str) -> None:
    voice = Voice.of(["migrate", "--source", text], {})
    assert voice.masked(f"no entry with {PASSWORD}") == f"no entry with {HIDDEN}"


@given(st.text(st.characters(codec="utf-8", exclude_characters="/@"), min_size=4, max_size=20))
def test_no_password_of_a_url_reaches_the_next_command(password: str) -> None:
    voice = Voice.of(["plan", "--source", f"postgresql://u:{password}@h/d"], {})
    said = voice.command("migrate")
    assert said == f"windlass migrate --source 'postgresql://u:{HIDDEN}@h/d'"


INNOCENT = ["shop.orders: 12 rows", "password authentication failed for user app", "a@b.example"]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_password_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("form", [[], ["--json"], ["-v"], ["-vv"]])
@pytest.mark.parametrize("kind", [RuntimeError, WindlassError, ConnectionLost])
@pytest.mark.parametrize("verb", ["plan", "migrate"])
def test_no_error_shows_a_password(
    moves: Moves, capsys: Capture, verb: str, kind: Callable[[str], Exception], form: list[str]
) -> None:
    moves.answer = kind(f"cannot reach postgresql://app:{QUOTED}@h/shop with {PASSWORD}")
    run([verb, *SIDES, *form])
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    assert QUOTED not in said.out + said.err


def test_a_misplaced_url_is_not_repeated_with_its_password(moves: Moves, capsys: Capture) -> None:
    assert run(["migrate", SPELLINGS[0]]) == 2
    assert PASSWORD not in capsys.readouterr().err


def test_a_password_of_a_spec_file_or_a_variable_is_masked(
    moves: Moves, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("source: postgresql://app:of-a-file@h/shop\n")
    monkeypatch.setenv("WINDLASS_TARGET", "postgresql://app:of-a-variable@h/shop")
    monkeypatch.setenv("PGPASSWORD", "of-the-library")
    moves.answer = RuntimeError("of-a-file of-a-variable of-the-library")
    run(["migrate", "-f", str(path)])
    assert f"{HIDDEN} {HIDDEN} {HIDDEN}" in capsys.readouterr().err


def test_only_v_shows_where_a_fault_of_ours_is(moves: Moves, capsys: Capture) -> None:
    moves.answer = RuntimeError("a fault of ours")
    assert run(["migrate", *SIDES, "-v"]) == 4
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_command_to_run_next_has_no_token_of_the_web() -> None:
    """It is in reports, which people forward."""
    signed = "https://store.example.com/a.csv?sig=hunter22&se=2026"
    words = ["load", "--from", signed, "--target", "postgresql://u@h/d?sslmode=require"]
    said = Voice.of(words, {}).command("load")
    assert "hunter22" not in said
    assert "https://store.example.com/a.csv?***" in said
    assert "sslmode=require" in said
