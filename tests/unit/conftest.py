"""What all tests without servers share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def rare_collections() -> Iterator[None]:
    """Python looks for cycles a hundred times less often. Most of what these tests make is small
    and soon gone; trees of code are large, and stay: to parse all of ours takes a third then, and
    all of these tests a sixth less."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    yield
    gc.set_threshold(*before)
