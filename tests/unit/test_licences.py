"""The base install has no copyleft dependency; psycopg, whose licence is a weak one, is named.

GPL and AGPL would pass on to what is made with Windlass, and are refused. The LGPL leaves that
alone as long as the library stays a separate package that can be replaced, as psycopg is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement

from paths import ROOT

PERMISSIVE = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0"}
WEAK_COPYLEFT = {"psycopg": "LGPL-3.0-only", "psycopg-binary": "LGPL-3.0-only"}

# what packages say who name no SPDX expression yet
SPELLINGS = {
    "Apache License Version 2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",  # python-dateutil
}
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
}


def base_install() -> dict[str, Distribution]:
    """The distributions that ``pip install`` without extras brings, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    todo = [Requirement(line) for line in project["project"]["dependencies"]]
    found: dict[str, Distribution] = {}
    done: set[tuple[str, str]] = set()
    while todo:
        wanted = todo.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        for extra in wanted.extras or {""}:
            if (name, extra) in done:
                continue
            done.add((name, extra))
            found[name] = distribution(name)
            lines = [Requirement(line) for line in found[name].requires or []]
            todo += [
                one for one in lines if one.marker is None or one.marker.evaluate({"extra": extra})
            ]
    return found


def licence(found: Distribution) -> str:
    """An SPDX expression, from whichever field has one."""
    said = _field(found, "License-Expression")
    said += [SPELLINGS[text] for text in _field(found, "License") if text in SPELLINGS]
    said += [CLASSIFIERS[one] for one in _field(found, "Classifier") if one in CLASSIFIERS]
    said += _field(found, "License")
    return str(canonicalize_license_expression(said[0]))


def _field(found: Distribution, name: str) -> list[str]:
    return found.metadata.get_all(name) or []


def choices(expression: str) -> Iterator[set[str]]:
    """Sets of licences of which one whole set is enough."""
    for choice in expression.strip("()").split(" OR "):
        yield set(choice.split(" AND "))


def allowed(name: str, expression: str) -> bool:
    permissive = any(choice <= PERMISSIVE for choice in choices(expression))
    return permissive or expression == WEAK_COPYLEFT.get(name)


def test_the_base_install_has_no_copyleft_dependency() -> None:
    licences = {name: licence(found) for name, found in base_install().items()}
    assert {"asyncpg", "postgast", "protobuf", "psycopg-binary"} <= licences.keys()
    assert {name: said for name, said in licences.items() if not allowed(name, said)} == {}


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("pglast", "GPL-3.0-or-later"),
        ("a", "AGPL-3.0-only"),
        ("a", "LGPL-3.0-only"),
        ("psycopg", "GPL-3.0-only"),
        ("a", "MIT AND GPL-3.0-only"),
    ],
)
def test_any_other_licence_is_refused(name: str, expression: str) -> None:
    assert not allowed(name, expression)


def test_one_permissive_choice_is_enough() -> None:
    assert allowed("a", "GPL-2.0-only OR MIT")
