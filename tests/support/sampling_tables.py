"""The tables of what `make test` leaves to `make test-all`, as docs/promises.md has them."""

from __future__ import annotations

from sampling import LEFT, SAMPLED
from sampling_shares import SHARES


def left_table() -> str:
    """What is left out as a whole, for readers."""
    rows = [
        f"| `{file}::{test}` | {instead} |"
        for file, tests in LEFT.items()
        for test, instead in tests.items()
    ]
    return "\n".join(["| left to `make test-all` | with each change |", "|---|---|", *rows])


def sampled_table() -> str:
    rows = [
        f"| `{file}::{test}` | {count} |"
        for file, tests in SAMPLED.items()
        for test, count in tests.items()
    ]
    return "\n".join(["| test with many variants | variants per commit |", "|---|---|", *rows])


def shares_table() -> str:
    rows = [f"| `{file}` | {count} |" for file, count in SHARES.items()]
    return "\n".join(["| file with many cases | tests per commit |", "|---|---|", *rows])
