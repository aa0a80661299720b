"""Finds passwords in texts and replaces them: in URLs, in connection strings, and known ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"

_URL_PASSWORD = re.compile(r"(\w+://[^\s:@/'\"]*:)([^\s'\"]+)(?=@)")  # somewhere in a text
_URL = re.compile(r"(\w+://[^:@/]*:)(.+)(?=@)", re.DOTALL)  # the whole of a word: may hold anything
_WORD_PASSWORD = re.compile(  # of libpq, and of ODBC, which has braces for apostrophes
    r"(?i)((?:password|passwd|\bpwd)\s*=\s*)"
    r"('(?:[^'\\]|\\.)*'|\{(?:[^}]|\}\})*\}|[^\s&'\"]+)"
)
_PARAMETERS = re.compile(r"(\w+://[^\s?'\"]*\?)[^\s'\"]+")  # of a URL: tokens and signatures
_WEB_PARAMETERS = re.compile(r"(https?://[^\s?'\"]*\?)[^\s'\"]+")
_SECRET_KEY = re.compile(r"secret|password|passwd|[_-]key$|token|authorization|credential", re.I)
# Shorter passwords would match ordinary words.
SHORTEST_SECRET = 4


def mask(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without passwords: those in URLs and conninfo strings, and known ones."""
    for secret in sorted(secrets, key=len, reverse=True):
        # whole words only: the password postgres must not match inside postgresql
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    text = _URL_PASSWORD.sub(rf"\1{HIDDEN}", text)
    return _WORD_PASSWORD.sub(rf"\1{HIDDEN}", text)


def mask_word(word: str) -> str:
    """Mask a connection that is one whole word: its password may contain anything. Parameters of
    web URLs are masked too, as they may be tokens and signatures; those of database URLs stay."""
    return mask(_WEB_PARAMETERS.sub(rf"\1{HIDDEN}", _URL.sub(rf"\1{HIDDEN}", word)))


def secrets_in(text: str) -> set[str]:
    """Passwords in a connection string or a command line, as written and decoded."""
    found = [match[2] for match in _URL_PASSWORD.finditer(text)]
    if whole := _URL.search(text):
        found.append(whole[2])
    for match in _WORD_PASSWORD.finditer(text):
        word = match[2]
        if word.startswith("'"):
            word = re.sub(r"\\(.)", r"\1", word[1:-1])
        elif word.startswith("{"):
            found.append(word)
            word = word[1:-1].replace("}}", "}")
        found += [word, word.partition(";")[0]]
    return {form for word in found for form in (word, unquote(word))}


def without_secrets(value: Any, secrets: Sequence[str] = (), key: str = "") -> Any:
    """Plain JSON data for people. Values whose key names a secret are hidden, and so are passwords
    and parameters in URLs."""
    match value:
        case dict():
            return {name: without_secrets(one, secrets, str(name)) for name, one in value.items()}
        case list() | tuple():
            return [without_secrets(one, secrets, key) for one in value]
        case str() if value and _SECRET_KEY.search(key):
            return HIDDEN
        case str():
            known = [one for one in secrets if len(one) >= SHORTEST_SECRET]
            return _PARAMETERS.sub(rf"\1{HIDDEN}", mask(mask_word(value), known))
    return value
