"""What errors of BigQuery's client mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as faults
from google.auth import exceptions as auth

from windlass.errors import ConnectionLost, WindlassError
from windlass.model.text import first_line


@contextmanager
def explaining(place: str, doing: str) -> Iterator[None]:
    """Raises:
    ConnectionLost: trying again can help.
    """
    try:
        yield
    except auth.DefaultCredentialsError as error:
        raise WindlassError(
            f"{place}: no credentials",
            hint="give GOOGLE_APPLICATION_CREDENTIALS, or run"
            " `gcloud auth application-default login`",
        ) from error
    except (faults.Forbidden, faults.Unauthorized) as error:
        raise WindlassError(
            f"{place}: {doing}: no permission: {said(error)}",
            hint="the account needs the roles BigQuery Data Editor and BigQuery Job User",
        ) from error
    except faults.NotFound as error:
        hint = "make it, or check the names in the warehouse's URL"
        raise WindlassError(f"{place}: {doing}: {said(error)}", hint=hint) from error
    except (faults.ServerError, faults.TooManyRequests, faults.RetryError,
            auth.TransportError, OSError) as error:  # fmt: skip
        raise ConnectionLost(
            f"{place}: {doing}: {said(error)}", hint="see the status of BigQuery"
        ) from error
    except auth.GoogleAuthError as error:
        raise WindlassError(
            f"{place}: the credentials are not accepted: {said(error)}",
            hint="renew them: give another GOOGLE_APPLICATION_CREDENTIALS, or run"
            " `gcloud auth application-default login`",
        ) from error
    except faults.GoogleAPICallError as error:
        raise WindlassError(f"{place}: {doing}: {said(error)}") from error


def said(error: BaseException) -> str:
    return first_line(error, str(getattr(error, "message", "") or ""))[:300]
