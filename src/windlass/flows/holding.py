"""The hold on the two databases of a spec. Loads no more than it takes to connect to them."""

from __future__ import annotations

from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.session import Address
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.errors import BadSpec
from windlass.model.wording import word
from windlass.spec.migrate import Spec


def hold_of(spec: Spec, holder: SnapshotHolder | None = None) -> Hold:
    """Connects to nothing yet. `holder` is what an earlier attempt of this process has handed over.

    Raises:
        BadSpec: source or target is missing or cannot be read.
    """
    return Hold(*parse_sides(spec), within=spec.snapshot, holder=holder)


def _with_key(source: Address) -> Address:
    """The source, whose sessions get the key of the environment, so that they can hash. Unchanged
    if there is no key: the plan reports that."""
    from windlass.engines.postgres.mapped import key_settings  # few migrations hash
    from windlass.transfer.hashing import hasher_of_environment

    hasher = hasher_of_environment()
    if hasher is None:
        return source
    pads = [rf"\x{pad.hex()}" for pad in hasher.pads()]
    return source.with_settings(dict(zip(key_settings(hasher.id), pads, strict=True)))


def parse_sides(spec: Spec) -> tuple[Address, Address]:
    """Where the two sides are.

    Raises:
        BadSpec: both faults, if there are two.
    """
    found, faults = [], []
    for side, secret in (("source", spec.source), ("target", spec.target)):
        if secret is None:
            faults.append(f"no {side}: give {word(side)}, or set WINDLASS_{side.upper()}")
            continue
        try:
            address = Address.parse(side, secret.get_secret_value())
            found.append(_with_key(address) if side == "source" and spec.hashes else address)
        except BadSpec as error:
            faults += error.faults
    if faults:
        raise BadSpec(faults)
    return found[0], found[1]
