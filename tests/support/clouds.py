"""Object stores and BigQuery for tests: S3 as moto serves it, Cloud Storage's client against the
same, and a stand-in for BigQuery."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.bigquery import FakeBigQuery


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment in which clients find a bucket `lake`."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], start: Any) -> Any:
        """Cloud Storage's clients have a bearer's token or none; moto looks for a signature."""
        if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4"):
            scope = "test/20260101/us-east-1/s3/aws4_request"
            environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={scope}, Signature=x"
        return moto(environ, start)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    env = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    import boto3

    made = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test",
        region_name="us-east-1",
    )  # fmt: skip
    made.create_bucket(Bucket="lake")
    yield env
    server.shutdown()


# Cloud Storage. obstore speaks Cloud Storage's XML interface,
# of which the emulators have next to nothing, and which is that of S3: moto serves it.


@pytest.fixture(scope="module")
def storage(s3: dict[str, str]) -> str:
    return s3["AWS_ENDPOINT_URL"]


@pytest.fixture
def gs(storage: str) -> dict[str, str]:
    """The store's options."""
    key = {
        "gcs_base_url": storage,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    return {"service_account_key": json.dumps(key)}


@pytest.fixture
def bigquery(storage: str) -> Iterator[FakeBigQuery]:
    with FakeBigQuery(storage) as fake:
        fake.create_dataset("raw")
        yield fake
