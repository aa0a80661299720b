"""A warehouse's URL: the account, the database and schema in it, and who connects and how.

``snowflake://user@account/database/schema?warehouse=...&role=...``
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from windlass.engines.snowflake.names import stored
from windlass.errors import BadSpec, WindlassError
from windlass.version import __version__

# of the URL's query; the connector's other options are not for a load
_SERVER = ("host", "port", "protocol")
_LOGIN = ("authenticator", "private_key_path", "token_path")
SECRETS = ("token", "private_key_base64", "private_key_passphrase")
OPTIONS = ("warehouse", "role", *_LOGIN, *SECRETS, *_SERVER)
# these need no password and no key, or use the token in place of one
_WITH_TOKEN = ("oauth", "programmatic_access_token")
_FORM = "snowflake://user@account/database/schema?warehouse=name is what it takes"
_LOCK_SECONDS = 600  # to wait for a statement of others; by default Snowflake waits 12 hours


@dataclass(frozen=True, slots=True)
class Address:
    """Secrets are not in its repr, and not in `place`."""

    account: str
    user: str
    database: str
    schema: str
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str, into: str = "", *, what: str = "warehouse") -> Address:
        """`into` is a schema that replaces the URL's; `what` the option that gives it.

        Raises:
            BadSpec: it is no such URL. The message does not repeat it.
        """
        try:
            parts = urlsplit(url)
            account, options = (
                parts.hostname or "",
                dict(parse_qsl(parts.query, strict_parsing=bool(parts.query))),
            )
        except ValueError:
            raise BadSpec([f"{what}: {_FORM}"]) from None
        path = [unquote(one) for one in parts.path.strip("/").split("/")]
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        faults = [f"unknown: {key}" for key in options if key not in OPTIONS]
        if not account or not path[0] or len(path) > 2 or not all(path):
            faults.append("the account, the database and the schema are its parts")
        if into and len(path) == 2 and stored(into) != stored(path[1]):
            faults.append("the schema is in it already, and `into` names another")
        method = options.get("authenticator", "").lower()
        if not user and method not in _WITH_TOKEN:
            faults.append("the user is missing")
        if sum(key in options for key in ("private_key_path", "private_key_base64")) > 1:
            faults.append("it has more than one private key")
        if faults:
            raise BadSpec([f"{what}: {_FORM}; {'; '.join(faults)}"])
        schema = into or (path[1] if len(path) == 2 else "public")
        account = account.removesuffix(".snowflakecomputing.com")
        return cls(account, user, path[0], schema, password, options)

    @property
    def place(self) -> str:
        """For people, without secrets."""
        return f"Snowflake {self.account} {self.database}.{self.schema}"

    @property
    def role(self) -> str:
        return self.options.get("role", "")

    def arguments(self) -> dict[str, Any]:
        """The connector's arguments. Secrets that the URL lacks come from the environment.

        Raises:
            WindlassError: the key or the token cannot be read, or there is none.
        """
        given = {key: self.options[key] for key in (*_SERVER, "role", "warehouse", "authenticator")
                 if self.options.get(key)}  # fmt: skip
        return {
            **given,
            "account": self.account,
            "user": self.user,
            "database": _quoted(self.database),
            "schema": _quoted(self.schema),
            **self._login(),
            "application": f"windlass_{__version__.partition('+')[0].replace('.', '_')}",
            "paramstyle": "qmark",
            "login_timeout": 60,
            "network_timeout": 300,
            "client_session_keep_alive": True,
            "session_parameters": {
                "AUTOCOMMIT": True,
                "BINARY_INPUT_FORMAT": "HEX",
                "ERROR_ON_NONDETERMINISTIC_MERGE": True,
                "LOCK_TIMEOUT": _LOCK_SECONDS,
                "MULTI_STATEMENT_COUNT": 1,
                "QUERY_TAG": "windlass",
                "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
                "TIMEZONE": "UTC",
            },
        }

    def _login(self) -> dict[str, Any]:
        method = self.options.get("authenticator", "").lower()
        if method in _WITH_TOKEN:
            return {"token": self._token()}
        if key := self._key():
            return {"private_key": key, "authenticator": "SNOWFLAKE_JWT"}
        password = self.password or os.environ.get("SNOWFLAKE_PASSWORD", "")
        if not password and not method:
            raise WindlassError(
                f"{self.place}: no credentials",
                hint="set SNOWFLAKE_PASSWORD, or give `private_key_path=...` in the URL",
            )
        return {"password": password} if password else {}

    def _token(self) -> str:
        path = self.options.get("token_path", "")
        token = self.options.get("token") or (_read(path, self.place).decode() if path else "")
        if found := (token or os.environ.get("SNOWFLAKE_TOKEN", "")).strip():
            return found
        hint = "set SNOWFLAKE_TOKEN, or give `token_path=...` in the URL"
        raise WindlassError(f"{self.place}: no token", hint=hint)

    def _key(self) -> bytes:
        """The private key as the connector takes it: DER, without a passphrase."""
        path, packed = (self.options.get(f"private_key_{part}", "") for part in ("path", "base64"))
        if not path and not packed:
            return b""
        secret = self.options.get("private_key_passphrase") or os.environ.get(
            "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", ""
        )
        return _der(_read(path, self.place) if path else _unpacked(packed), secret, self.place)


def _read(path: str, place: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise WindlassError(f"{place}: cannot read {path}: {error.strerror}") from error


def _unpacked(packed: str) -> bytes:
    try:
        return base64.b64decode(packed, validate=True)
    except ValueError:
        raise BadSpec(["warehouse: private_key_base64 is not base64 of a PEM"]) from None


def _der(pem: bytes, passphrase: str, place: str) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    try:
        key = forms.load_pem_private_key(pem, passphrase.encode() or None)
    except (TypeError, ValueError) as error:
        raise WindlassError(
            f"{place}: the private key cannot be read: it is no PEM, or its passphrase is another",
            hint="set SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        ) from error
    return key.private_bytes(forms.Encoding.DER, forms.PrivateFormat.PKCS8, forms.NoEncryption())


def _quoted(name: str) -> str:
    """Quote an identifier for the login: without quotes, Snowflake reads it in upper case."""
    found = stored(name)
    plain = found == found.upper() and found.replace("_", "a").isalnum() and found.isascii()
    return found if plain else '"{}"'.format(found.replace('"', '""'))
