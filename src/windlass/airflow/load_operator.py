"""The operator that loads files, URLs and queries in one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias

from windlass.airflow.assets import publish_assets
from windlass.airflow.checking import SpecLike, checked_load
from windlass.airflow.commands import SpecOperator, spec_words
from windlass.flows.registry import flow_named
from windlass.model.outcome import State

if TYPE_CHECKING:
    from airflow.sdk import Context

    from windlass.model.outcome import Outcome


class LoadOperator(SpecOperator):
    """Loads files, URLs and queries; for the connections see `windlass.airflow.load_dag`. The
    option `from` may be given as `from_`. Loaded tables are assets, under the alias
    ``dag_id.task_id`` unless other `outlets` are given.

    Raises:
        BadSpec: with every fault of the spec.
    """

    flow_name = "load"
    words = flow_named("load").words

    def __init__(
        self,
        *,
        target_conn_id: str = "postgres_target",
        store_conn_id: str = "",
        spec: SpecLike | None = None,
        **kwargs: Any,
    ) -> None:
        if "from_" in kwargs:
            kwargs["from"] = kwargs.pop("from_")
        found = checked_load(spec_words("load", spec, kwargs), target_conn_id, store_conn_id)
        sides = {"target": target_conn_id} if target_conn_id else {}
        super().__init__(connections=sides, spec=found, **kwargs)
        if not self.outlets:
            self.outlets = [AssetAlias(name=f"{self.dag_id}.{self.task_id}")]

    def _keep(self, context: Context, ran: Any, outcome: Outcome) -> None:
        super()._keep(context, ran, outcome)
        results = ran.results["clean_up"].values()
        assets = [asset for one in results for asset in one.get("assets", ())]
        if outcome.state is State.DONE and assets:
            publish_assets(context, self.outlets, {"run": outcome.run, "assets": assets})
