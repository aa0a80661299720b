"""gs:// with every kind of credentials that Google's own library takes, from real token servers.

One server is Google here: it gives tokens as Google's services do, and is the bucket, which opens
to the last token alone.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

pytest.importorskip("obstore")
pytest.importorskip("google.auth")

from google.auth import iam
from google.auth.compute_engine import _metadata
from google.oauth2 import credentials as of_users

from windlass.engines.objects import store as stores
from windlass.engines.objects.store import ObjectStore
from windlass.errors import ConnectionLost, WindlassError

Json = dict[str, Any]
IMPERSONATE = "/v1/projects/-/serviceAccounts/lake@acme.iam:generateAccessToken"


@dataclass
class Google:
    """What it was asked, and the tokens that it gave."""

    url: str
    asked: list[tuple[str, Json]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    lifetime_seconds: int = 3600
    fault: tuple[int, Json] | None = None

    def token(self) -> str:
        self.tokens.append(f"token-{len(self.tokens)}-hunter2")
        return self.tokens[-1]

    def answer(self, path: str, asked: Json) -> Json:
        self.asked.append((path, asked))
        if path == IMPERSONATE:
            ends = datetime.now(UTC) + timedelta(seconds=self.lifetime_seconds)
            return {"accessToken": self.token(), "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if path == "/subject":
            return {"subject": "of-the-cluster"}
        if path.startswith("/computeMetadata") and not path.endswith("/token"):
            return {"email": "lake@acme.iam", "scopes": []}
        return {
            "access_token": self.token(), "expires_in": self.lifetime_seconds,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }  # fmt: skip


class _Serving(BaseHTTPRequestHandler):
    google: Google

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        body = self._body().decode()
        if self.google.fault:
            status, said = self.google.fault
        else:
            is_json = body.startswith("{")
            asked = json.loads(body) if is_json else {k: v[0] for k, v in parse_qs(body).items()}
            status, said = 200, self.google.answer(self.path, asked)
        self._say(status, json.dumps(said).encode(), **{"content-type": "application/json"})

    def do_GET(self) -> None:
        if self.path == "/":  # whether there is a metadata server
            self._say(200, b"", **{"Metadata-Flavor": "Google"})
        elif self.path.startswith(("/subject", "/computeMetadata")):
            said = self.google.answer(self.path.partition("?")[0], {})
            headers = {"content-type": "application/json", "Metadata-Flavor": "Google"}
            self._say(200, json.dumps(said).encode(), **headers)
        else:
            self._object()

    def _object(self) -> None:
        self._body()
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        if given not in self.google.tokens[-1:]:
            self._say(401, b"")
        elif self.command == "PUT":
            self._say(200, b"", ETag='"1"')
        else:
            self._say(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_PUT = do_HEAD = do_DELETE = _object

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    for name in [one for one in os.environ if one.startswith(("GOOGLE", "GCE", "CLOUDSDK"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True)
    monkeypatch.setitem(stores._RETRIES, "max_retries", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Serving)
    made = _Serving.google = Google(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()


def private_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def service_account(google: Google) -> Json:
    return {
        "type": "service_account", "project_id": "acme", "private_key_id": "1",
        "private_key": private_key(), "client_email": "lake@acme.iam", "client_id": "1",
        "token_uri": f"{google.url}/token",
    }  # fmt: skip


def user(google: Google) -> Json:
    return {
        "type": "authorized_user", "client_id": "1", "client_secret": "geheim77",
        "refresh_token": "geheim77",
    }  # fmt: skip


def external(google: Google) -> Json:
    """A workload of another cloud, or of Kubernetes."""
    return {
        "type": "external_account", "audience": "//iam.googleapis.com/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{google.url}/sts",
        "credential_source": {
            "url": f"{google.url}/subject",
            "format": {"type": "json", "subject_token_field_name": "subject"},
        },
    }  # fmt: skip


def external_that_impersonates(google: Google) -> Json:
    return {**external(google), "service_account_impersonation_url": google.url + IMPERSONATE}


def impersonated(google: Google) -> Json:
    return {
        "type": "impersonated_service_account", "delegates": [],
        "service_account_impersonation_url": google.url + IMPERSONATE,
        "source_credentials": user(google),
    }  # fmt: skip


KINDS: list[Callable[[Google], Json]] = [
    service_account, user, external, external_that_impersonates, impersonated,
]  # fmt: skip
Given = Callable[[Json], dict[str, str]]


@pytest.fixture(params=["the environment", "a file", "an option"])
def given(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    """The store's options for credentials."""

    def options(credentials: Json) -> dict[str, str]:
        text = json.dumps(credentials)
        if request.param == "an option":
            return {"service_account_key": text}
        path = tmp_path / "credentials.json"
        path.write_text(text)
        if request.param == "a file":
            return {"application_credentials": str(path)}
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        return {}

    return options


def at_home(monkeypatch: pytest.MonkeyPatch, google: Google) -> None:
    """What Google's library has no setting for: the addresses of Google's own servers."""
    monkeypatch.setattr(of_users, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{google.url}/token")
    monkeypatch.setattr(iam, "_IAM_ENDPOINT", google.url + IMPERSONATE, raising=False)


def store(google: Google, options: dict[str, str]) -> ObjectStore:
    return ObjectStore("gs://lake/exports", {"base_url": google.url, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_credentials_opens_a_bucket(
    kind: Callable[[Google], Json], given: Given, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(monkeypatch, google)
    opened = store(google, given(kind(google)))
    assert google.asked == []  # nothing is asked before it is used
    opened.put("run/x", b"1")
    assert opened.get("run/y") is None
    assert google.tokens


def test_a_machine_s_own_account_opens_a_bucket(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a virtual machine, and of a pod with a workload identity."""
    host = google.url.removeprefix("http://")
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", False)
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    store(google, {}).put("run/x", b"1")
    assert any("service-accounts/default/token" in path for path, _ in google.asked)


def test_a_token_that_ends_is_renewed(google: Google) -> None:
    google.lifetime_seconds = 0
    opened = store(google, {"service_account_key": json.dumps(service_account(google))})
    for path in ("a", "b", "c"):
        opened.put(path, b"1")
    assert len(google.tokens) == 3


def test_a_service_account_asks_for_storage_alone(google: Google) -> None:
    import base64

    opened = store(google, {"service_account_key": json.dumps(service_account(google))})
    opened.put("a", b"1")
    claims = google.asked[0][1]["assertion"].split(".")[1]
    scope = json.loads(base64.urlsafe_b64decode(claims + "=="))["scope"]
    assert scope == "https://www.googleapis.com/auth/devstorage.read_write"


def test_credentials_that_are_not_accepted_say_so_without_showing_them(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(monkeypatch, google)
    google.fault = (400, {"error": "invalid_grant", "error_description": "Token was revoked"})
    opened = store(google, {"service_account_key": json.dumps(user(google))})
    with pytest.raises(WindlassError, match=r"credentials are not accepted.*revoked") as error:
        opened.check()
    assert not error.value.retryable and "geheim77" not in str(error.value)
    google.fault = None
    opened.put("a", b"1")


def test_a_token_server_that_is_down_is_worth_another_try(google: Google) -> None:
    account = {**service_account(google), "token_uri": "http://127.0.0.1:1/token"}
    opened = store(google, {"service_account_key": json.dumps(account)})
    with pytest.raises(ConnectionLost) as error:
        opened.check()
    assert error.value.retryable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{geheim77", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"type": "nonsense", "private_key": "geheim77"}', "type"),
        ('{"type": "service_account", "private_key": "geheim77"}', "no credentials"),
    ],
)
def test_what_are_no_credentials_is_named_and_not_shown(
    text: str, said: str, google: Google
) -> None:
    with pytest.raises(WindlassError, match=said) as error:
        store(google, {"service_account_key": text}).check()
    assert "geheim77" not in str(error.value) and error.value.hint
    assert not error.value.retryable


def test_none_at_all_is_named(google: Google, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(WindlassError, match="no credentials") as error:
        store(google, {}).check()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in error.value.hint
