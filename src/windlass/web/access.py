"""Who may look, and who may act: tokens, the header of a proxy, sessions, and where requests come
from.

On the loopback interface, everybody on this machine may look. Elsewhere, and for every action, a
person needs a token, or a proxy authenticates them and names them in a header.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from windlass.errors import BadSpec
from windlass.model.wording import word

WEB_TOKEN = "WINDLASS_WEB_TOKEN"  # environment variable with a single token
COOKIE = "windlass_session"
SESSION_SECONDS = 12 * 3600.0
SHORTEST_TOKEN = 16  # characters
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
FILE, HEADER = word("token-file"), word("user-header")
HOST, NAME, PROXY = word("host"), word("allowed-host"), word("trusted-proxy")


@dataclass(frozen=True, slots=True)
class Person:
    """Who makes a request. `csrf` is in every form that the person is shown."""

    name: str
    csrf: str = field(default="", repr=False)


ANYBODY = Person("")
"""Anybody on the loopback interface, who can change nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`tokens` are names by token. `user_header` is one that a proxy at one of `proxies` sets."""

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    user_header: str = ""
    proxies: tuple[str, ...] = LOCAL_NAMES
    hosts: tuple[str, ...] = LOCAL_NAMES  # names by which the page is reached
    allows_actions: bool = False
    form_key: bytes = field(default=b"", repr=False)  # of servers that take each other's forms

    @property
    def is_open(self) -> bool:
        """Whether nobody has to authenticate."""
        return not (self.tokens or self.user_header)


def read_tokens(path: Path) -> dict[str, str]:
    """Names by token, from lines ``NAME TOKEN``; a line with one word is a token without a name.

    Raises:
        BadSpec: it cannot be read, others can read it, or a token is too short.
    """
    try:
        lines = path.read_text().splitlines()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadSpec([f"{FILE} {path}: {reason}"]) from None
    if mode & 0o077:
        raise BadSpec(
            [f"{FILE} {path}: other users of this machine can read it"],
            hint=f"chmod 600 {path}",
        )
    found, faults = {}, []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[-1] in found:
            faults.append(f"{FILE} {path}, line {number}: the token of another line")
            continue
        if len(words) > 2 or len(words[-1]) < SHORTEST_TOKEN:
            faults.append(
                f"{FILE} {path}, line {number}: not NAME TOKEN, with a token of at least"
                f" {SHORTEST_TOKEN} characters"
            )
            continue
        found[words[-1]] = words[0] if len(words) > 1 else "token"
    if not (found or faults):
        faults = [f"{FILE} {path}: it has no token"]
    if faults:
        raise BadSpec(faults, hint="python -c 'import secrets; print(secrets.token_urlsafe())'")
    return found


def is_host_name(text: str) -> bool:
    """Whether a browser may send it as the name of a host, without a port."""
    return _is_address(text) or bool(_HOST_NAME.fullmatch(text))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def as_sent(text: str) -> str:
    """A name or an address as programs send it: in lower case, and in its shortest form."""
    return str(ipaddress.ip_address(text)) if _is_address(text) else text.lower()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_policy(policy: Policy, host: str, *, names: Sequence[str]) -> None:
    """Whether the page may listen at `host` with this policy; `names` are the hosts that the user
    gave.

    Raises:
        BadSpec: anybody on the network could use it; the names that reach it are not known; or a
            name or the address of a proxy could never match.
    """
    faults = [
        f"{NAME} {one}: give the name alone, without scheme and port"
        for one in names
        if not is_host_name(one)
    ]
    faults += [
        f"{PROXY} {one}: is not an IP address"
        for one in policy.proxies
        if one not in LOCAL_NAMES and not _is_address(one)
    ]
    if policy.user_header and not _HEADER_NAME.fullmatch(policy.user_header):
        faults.append(f"{HEADER} {policy.user_header}: is not a header name")
    if policy.proxies != LOCAL_NAMES and not policy.user_header:
        faults.append(f"{PROXY}: needs {HEADER}, the header in which it names the user")
    if faults:
        raise BadSpec(faults)
    if is_loopback(host):
        return
    if policy.is_open:
        faults.append(f"{HOST} {host}: without {FILE} or {HEADER} anybody could look")
    if host in WILDCARDS and not names:
        faults.append(f"{HOST} {host}: {NAME} has to name the host of the page's address")
    if faults:
        raise BadSpec(faults)


class Sessions:
    """Sessions of people who have shown a token, until they log out, or for twelve hours."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._people: dict[str, tuple[Person, float]] = {}
        # makes the form secrets of people whom a proxy or another application names
        self._key = policy.form_key or secrets.token_bytes(32)

    def begin(self, token: str) -> str:
        """A new session's cookie; empty if nobody has this token."""
        name = self._holder(token)
        if not name:
            return ""
        self._end_old()
        cookie = secrets.token_urlsafe(32)
        self._people[cookie] = Person(name, secrets.token_urlsafe(32)), time.monotonic()
        return cookie

    def end(self, cookie: str) -> None:
        self._people.pop(cookie, None)

    def person(
        self, cookie: str, authorization: str, named: Sequence[str], address: str
    ) -> Person | None:
        """Who makes a request; None if that is not known. `named` are the values of the policy's
        `user_header`, `address` the client's.

        With several values it is not known which of them is the proxy's.
        """
        policy = self._policy
        if policy.is_open:
            return ANYBODY
        if policy.user_header and len(named) == 1 and named[0] and address in policy.proxies:
            return self.known(named[0])
        self._end_old()
        if cookie in self._people:
            return self._people[cookie][0]
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and (name := self._holder(token.strip())):
            return Person(name)
        return None

    def is_over(self, person: Person, cookie: str) -> bool:
        """Whether the session of this person has ended: streams stay open longer."""
        if not person.csrf or person == self.known(person.name):
            return False  # somebody else names them in each request
        self._end_old()
        return cookie not in self._people

    def known(self, name: str) -> Person:
        """Somebody whom a proxy or another application has authenticated. Stores nothing about
        them, however many there are."""
        return Person(name, hmac.new(self._key, name.encode(), "sha256").hexdigest())

    def _holder(self, token: str) -> str:
        """All tokens are compared, each in constant time."""
        found = ""
        for known, name in self._policy.tokens.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = name
        return found

    def _end_old(self) -> None:
        before = time.monotonic() - SESSION_SECONDS
        for cookie in [one for one, (_, at) in self._people.items() if at < before]:
            del self._people[cookie]


def host_is_known(host_header: str, policy: Policy) -> bool:
    """Whether a request was meant for this page. Not if it has a foreign host name that resolves to
    this address (DNS rebinding)."""
    return (_parts(f"//{host_header}").hostname or "") in policy.hosts


def is_from_here(headers: Mapping[str, str], host_header: str) -> bool:
    """Whether a form was sent by one of our pages: browsers send its origin."""
    if site := headers.get("sec-fetch-site", ""):
        return site in ("same-origin", "none")
    origin = headers.get("origin", "")
    return not origin or _parts(origin).netloc == host_header


def _parts(url: str) -> SplitResult:
    """The parts of a URL that a client has sent; empty if it is no URL."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def is_own_form(person: Person, sent: str) -> bool:
    """Whether a form has the person's secret, which only our pages contain."""
    return bool(person.csrf) and hmac.compare_digest(person.csrf.encode(), sent.encode())
