"""What Grafana's published schema asks of a dashboard, as far as ours use it.

From `kinds/dashboard/dashboard_kind.cue` of the repository grafana/grafana: names, types and values
of the dashboard, its panels' places, variables, thresholds and mappings. Options of each kind of
panel are not in that schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Whole = Annotated[int, Field(ge=0, strict=True)]


class _Known(BaseModel):
    """Has no other fields than these."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DataSource(_Known):
    type: str = ""
    uid: str = ""


class Place(_Known):
    h: Annotated[int, Field(gt=0)]
    w: Annotated[int, Field(gt=0, le=24)]
    x: Annotated[int, Field(ge=0, lt=24)]
    y: Whole


class Threshold(_Known):
    color: str
    value: float | int | None = None


class Thresholds(_Known):
    mode: Literal["absolute", "percentage"]
    steps: list[Threshold]

    @model_validator(mode="after")
    def in_order(self) -> Thresholds:
        """The first has no value, which means minus infinity; the others are sorted."""
        values = [one.value for one in self.steps]
        rest = [one for one in values[1:] if one is not None]
        if values[0] is not None or len(rest) + 1 != len(values) or rest != sorted(rest):
            raise ValueError(f"thresholds are not in order: {values}")
        return self


class Color(_Known):
    mode: str


class Defaults(_Known):
    unit: str = ""
    decimals: float | int | None = None
    color: Color | None = None
    thresholds: Thresholds | None = None
    custom: dict[str, Any] = {}


class Matcher(_Known):
    id: str
    options: Any = None


class Property(_Known):
    id: str
    value: Any = None


class Override(_Known):
    matcher: Matcher
    properties: list[Property]


class FieldConfig(_Known):
    defaults: Defaults
    overrides: list[Override]


class Transformation(_Known):
    id: str
    options: Any


class Panel(_Known):
    id: Whole
    type: Annotated[str, Field(min_length=1)]
    title: str = ""
    description: str = ""
    datasource: DataSource | None = None
    gridPos: Place
    targets: list[dict[str, Any]] = []
    fieldConfig: FieldConfig
    options: dict[str, Any]
    transformations: list[Transformation] = []


class Variable(BaseModel):
    """Kinds of variables have more fields."""

    model_config = ConfigDict(strict=True)
    type: Literal[
        "query", "adhoc", "constant", "datasource", "interval", "textbox", "custom", "system"
    ]
    name: Annotated[str, Field(min_length=1)]
    label: str = ""
    query: str | dict[str, Any] = ""
    datasource: DataSource | None = None
    hide: Literal[0, 1, 2] = 0


class Variables(_Known):
    list: list[Variable]


class Annotations(_Known):
    list: list[dict[str, Any]]


class Time(_Known):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)
    since: Annotated[str, Field(alias="from")]
    to: str


class Dashboard(_Known):
    uid: Annotated[str, Field(min_length=8, max_length=40)]
    title: Annotated[str, Field(min_length=1)]
    description: str = ""
    tags: list[str] = []
    timezone: str = "browser"
    editable: bool = True
    graphTooltip: Literal[0, 1, 2] = 0
    time: Time
    refresh: str | Literal[False] = False
    schemaVersion: Annotated[int, Field(ge=36, lt=1 << 16)]
    version: Whole = 0
    panels: list[Panel]
    templating: Variables
    annotations: Annotations
    links: list[dict[str, Any]] = []
