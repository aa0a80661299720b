"""TLS for the sessions that are not libpq's, with the files and the checks that libpq uses."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext, SSLObject

_OLDEST = "TLSv1.2"  # libpq's default


class NamedContext(SSLContext):
    """For a server whose address we connect to: the certificate is checked for `host`."""

    host = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> SSLObject:
        """Start TLS, with `host` instead of the event loop's server name."""
        return super().wrap_bio(
            incoming, outgoing, server_side, self.host or server_hostname, session
        )


def context(given: Mapping[str, str], host: str) -> SSLContext:
    """What libpq would do with these parameters (initialize_SSL in fe-secure-openssl.c).

    If there is a root certificate, it is always used for verification, whatever `sslmode` is.

    Raises:
        OSError: a file cannot be read (ssl.SSLError: or not understood).
    """
    made = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    made.host = host
    made.check_hostname = given.get("sslmode") == "verify-full"
    made.minimum_version = _version(given.get("ssl_min_protocol_version") or _OLDEST)
    if given.get("ssl_max_protocol_version"):
        made.maximum_version = _version(given["ssl_max_protocol_version"])
    _trust(made, given)
    _identify(made, given)
    made.set_alpn_protocols(["postgresql"])
    return made


def _trust(made: SSLContext, given: Mapping[str, str]) -> None:
    if given.get("sslrootcert") == "system":
        made.set_default_verify_paths()
        return
    root = _file(given, "sslrootcert", "root.crt")
    if root is None:
        if made.check_hostname or given.get("sslmode") == "verify-ca":
            raise FileNotFoundError("there is no root certificate")
        made.verify_mode = ssl.CERT_NONE
        return
    made.load_verify_locations(root)
    revoked = _file(given, "sslcrl", "root.crl")
    if revoked is not None:
        made.load_verify_locations(revoked)
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _identify(made: SSLContext, given: Mapping[str, str]) -> None:
    certificate = _file(given, "sslcert", "postgresql.crt")
    if certificate is not None:
        key = _file(given, "sslkey", "postgresql.key")
        # a function: if no password were given, OpenSSL would prompt on the terminal
        made.load_cert_chain(certificate, key, lambda: given.get("sslpassword", ""))


def _file(given: Mapping[str, str], name: str, usual: str) -> Path | None:
    """The file that was named; it must exist, except for files that libpq skips if they are missing
    (a list of revoked certificates). Without a name, the user's file that libpq would look for."""
    if given.get(name):
        named = Path(given[name])
        return named if name != "sslcrl" or named.exists() else None
    try:
        found = Path.home() / ".postgresql" / usual
    except RuntimeError:  # no home
        return None
    return found if found.exists() else None


def _version(name: str) -> ssl.TLSVersion:
    return ssl.TLSVersion[name.replace(".", "_")]


def locked_key(given: Mapping[str, str]) -> Path | None:
    """The key for which OpenSSL would prompt for a password on the terminal."""
    certificate, key = _file(given, "sslcert", "postgresql.crt"), given.get("sslkey", "")
    found = Path(key) if key else _file(given, "sslkey", "postgresql.key")
    needless = given.get("sslpassword") or given.get("sslmode") == "disable"
    if needless or certificate is None or found is None:
        return None
    try:
        return found if b"ENCRYPTED" in found.read_bytes() else None
    except OSError:  # libpq reports the reason
        return None
