"""Target relations as Airflow assets, so that other DAGs can wait for a finished migration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.sdk import Context

# facts about a relation, as far as its flow knows them; the last are those of loads
_KNOWN = ("run", "rows", "bytes", "snapshot", "lsn", "inserted", "updated", "unchanged", "deleted")
MOST_ASSETS = 500  # of one run; a scheduler writes an event for each


def uri(server: str, database: str, schema: str, table: str) -> str:
    """The URI as Airflow's Postgres provider writes it: postgres://host:port/database/schema/table.
    Empty for a socket, which means nothing on another machine."""
    host, _, port = server.rpartition(":")
    if not host or host[0] in "/@":
        return ""
    address = f"[{host}]" if ":" in host else host
    path = "/".join(quote(part, safe="") for part in (database, schema, table))
    return f"postgres://{address}:{port}/{path}"


def publish_assets(context: Context, outlets: Sequence[Any], result: Mapping[str, Any]) -> None:
    """An event for each relation in the result's `assets`, through the DAG's alias."""
    from airflow.sdk import Asset, AssetAlias

    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            for address, extra in list(_events(result))[:MOST_ASSETS]:
                context["outlet_events"][outlet].add(Asset(address), extra=extra)


def _events(result: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """For each relation its URI, and what consumers want to know: run, rows, snapshot."""
    for one in result.get("assets", ()):
        found = one.get("uri") or uri(one["place"], one["database"], one["schema"], one["table"])
        known = {"run": result.get("run"), **{key: one[key] for key in _KNOWN if key in one}}
        if found:
            yield found, {key: value for key, value in known.items() if value not in (None, "")}
