"""The lineage of a run as OpenLineage events have it: inputs, outputs, columns, rows and bytes.

Airflow's provider for OpenLineage asks a task for it when the task has ended. In an Airflow without
the provider nothing is imported, and nothing happens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from windlass.model.flow import Flow, resolve
from windlass.model.lineage import Arrived, Change, ColumnLineage, Dataset
from windlass.model.outcome import Outcome, State

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

_ENDED = (State.DONE, State.DIFFERENT, State.LOSSY)
MOST_DATASETS = 500  # of one event: more would make it too large for many receivers
log = logging.getLogger(__name__)


class Traced:
    """Part of an operator: reports to OpenLineage what its task has written, even if the task
    failed."""

    arrived: Sequence[Arrived] = ()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Called by Airflow's provider."""
        if len(self.arrived) > MOST_DATASETS:
            log.warning(
                "lineage names the first %d of %d relations", MOST_DATASETS, len(self.arrived)
            )
        return operator_lineage(self.arrived[:MOST_DATASETS])

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Called by Airflow's provider."""
        return self.get_openlineage_facets_on_complete(task_instance)


def arrived_of(flow: Flow[Any], context: Any, outcome: Outcome) -> Sequence[Arrived]:
    """What a run has written, if it has ended. `context` may be closed."""
    if not flow.lineage or outcome.state not in _ENDED:
        return ()
    found: Sequence[Arrived] = ()
    try:
        found = resolve(flow.lineage)(context, outcome)
    except Exception:  # the run is over and its rows are there, which matters more
        log.exception("the lineage of run %s is not known", outcome.run)
    return found


def operator_lineage(arrived: Sequence[Arrived]) -> OperatorLineage[Any, Any]:
    """The lineage in the form of Airflow's provider."""
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs = {(one.namespace, one.name): one for item in arrived for one in _inputs(item)}
    return OperatorLineage(
        inputs=list(inputs.values()), outputs=[_output(item) for item in arrived]
    )


def _inputs(item: Arrived) -> Iterable[Any]:
    from openlineage.client.event_v2 import InputDataset

    facets = {"schema": _schema(item.source_columns)} if item.source_columns else {}
    for source in item.sources:
        yield InputDataset(source.namespace, source.name, facets=facets)


def _output(item: Arrived) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    facets: dict[str, Any] = {"schema": _schema([(one.name, one.type) for one in item.columns])}
    if item.sources and any(one.origins for one in item.columns):
        facets["columnLineage"] = _column_lineage(item.sources[0], item.columns)
    counted = statistics.OutputStatisticsOutputDatasetFacet(
        rowCount=item.rows, size=item.size_bytes, fileCount=item.files
    )
    return OutputDataset(
        item.target.namespace,
        item.target.name,
        facets=facets,
        outputFacets={"outputStatistics": counted},
    )


def _schema(columns: Iterable[tuple[str, str]]) -> Any:
    from openlineage.client.facet_v2 import schema_dataset as schema

    fields = [schema.SchemaDatasetFacetFields(name=name, type=type_) for name, type_ in columns]
    return schema.SchemaDatasetFacet(fields=fields)


def _column_lineage(source: Dataset, columns: Iterable[ColumnLineage]) -> Any:
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage

    fields = {one.name: lineage.Fields(inputFields=_origins(source, one))
              for one in columns if one.origins}  # fmt: skip
    return lineage.ColumnLineageDatasetFacet(fields=fields)


def _origins(source: Dataset, column: ColumnLineage) -> list[Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage

    became = lineage.Transformation(
        type="DIRECT",
        subtype="IDENTITY" if column.change is Change.KEPT else "TRANSFORMATION",
        description=column.how,
        masking=column.change is Change.HIDDEN,
    )
    return [
        lineage.InputField(source.namespace, source.name, origin, transformations=[became])
        for origin in column.origins
    ]
