"""A module that exists for a test only, and has the function that a rewrite calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

Call = Callable[..., dict[str, Any]]


@contextmanager
def calling() -> Iterator[Call]:
    """Gives the words of a spec that name a function of this test."""
    module = ModuleType("functions_of_a_test")
    sys.modules[module.__name__] = module

    def given(function: Callable[..., Any], frame: str = "arrow", **words: Any) -> dict[str, Any]:
        module.function = function  # type: ignore[attr-defined]
        return {"function": "functions_of_a_test:function", "frame": frame, **words}

    yield given
    del sys.modules[module.__name__]
