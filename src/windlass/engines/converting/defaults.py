"""Which defaults of PostgreSQL call a function that other engines have as well. Pure."""

from __future__ import annotations

from enum import Enum, auto

_PRESENT = (
    "now()", "current_timestamp", "localtimestamp", "current_date", "current_time", "localtime",
    "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()",
)  # fmt: skip
_RANDOM = ("gen_random_uuid()", "public.uuid_generate_v4()", "uuidv4()")


class Call(Enum):
    """What a default gives."""

    NOW = auto()  # the date or the time, as precise as the column
    RANDOM_UUID = auto()
    RANDOM_UUID_AS_TEXT = auto()
    TIMED_UUID = auto()  # of version 7


def call_of(text: str) -> Call | None:
    """The call that a default is, in any parentheses; None if it is another expression."""
    bare = text.strip()
    while bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1].strip()
    bare = bare.lower()
    if bare in _PRESENT:
        return Call.NOW
    if bare == "uuidv7()":
        return Call.TIMED_UUID
    if bare in _RANDOM:
        return Call.RANDOM_UUID
    return Call.RANDOM_UUID_AS_TEXT if bare.removesuffix("::text") in _RANDOM else None
