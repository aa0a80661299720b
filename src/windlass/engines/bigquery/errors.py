"""What errors of BigQuery's client mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as faults
from google.auth import exceptions as auth

from windlass.errors import ConnectionLost, WindlassError
from windlass.model.text import first_line

# https://cloud.google.com/bigquery/docs/error-messages
_LIMITS = {"rateLimitExceeded", "quotaExceeded"}
_UNPAID = {"billingNotEnabled", "billingTierLimitExceeded"}
SERIALIZED = "serialize access"  # another statement changed the table at the same time


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
        raise _forbidden(f"{place}: {doing}", error) from error
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
        message = f"{place}: {doing}: {said(error)}"
        if SERIALIZED in str(error):
            raise ConnectionLost(
                message, hint="others write the table; trying again can help"
            ) from error
        raise WindlassError(message) from error


def _forbidden(doing: str, error: faults.GoogleAPICallError) -> WindlassError:
    """The error for a status that BigQuery also gives for limits, and for what is not paid."""
    reasons = {str(one.get("reason")) for one in error.errors or ()}
    if reasons & _LIMITS:
        return ConnectionLost(f"{doing}: {said(error)}", hint="a limit is reached; try again later")
    if reasons & _UNPAID:
        hint = "enable billing for the project: without, BigQuery has no INSERT and no MERGE"
        return WindlassError(f"{doing}: {said(error)}", hint=hint)
    return WindlassError(
        f"{doing}: no permission: {said(error)}",
        hint="the account needs the roles BigQuery Data Editor and BigQuery Job User",
    )


def said(error: BaseException) -> str:
    return first_line(error, str(getattr(error, "message", "") or ""))[:300]
