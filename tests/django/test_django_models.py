"""Loads do what a model says: on PostgreSQL and on SQLite alike."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from django_project import Project, model, values

COUNTRIES = ("code,name", "DE,Germany", "FR,France")


def test_rows_are_added_updated_and_left_alone_by_the_key_that_the_input_has(
    project: Project,
) -> None:
    project.update("shop.Country", *COUNTRIES)
    assert project.refreshed() == {"Country": {"inserted": 2}}
    project.update("shop.Country", "code,name", "DE,Deutschland", "FR,France", "IT,Italy")
    assert project.refreshed() == {"Country": {"inserted": 1, "updated": 1, "unchanged": 1}}
    assert values("Country", "name") == ["Deutschland", "France", "Italy"]


def test_an_unchanged_file_is_nothing_to_do(project: Project) -> None:
    project.update("shop.Country", *COUNTRIES)
    project.refreshed()
    assert project.refreshed() == {"Country": None}
    assert project.refreshed(again=True) == {"Country": {"unchanged": 2}}


def test_a_table_may_be_named_as_the_database_does_and_a_field_by_its_column(
    project: Project,
) -> None:
    project.update("shop_customer", "email,name,remarks", "a@x.de,Anna,nice")
    project.refreshed()
    assert values("Customer", "notes") == ["nice"]


def test_what_the_input_lacks_is_filled_as_django_fills_it(project: Project) -> None:
    project.update("shop.Customer", "email,name", "a@x.de,Anna", "b@x.de,Bert")
    project.refreshed()
    anna, bert = model("Customer").objects.order_by("email")
    assert (anna.level, anna.credit, anna.notes, anna.active) == ("plain", Decimal(0), "", True)
    assert (anna.preferences, anna.source, anna.shout) == ({"news": True}, "web", "anna")
    assert isinstance(anna.token, UUID) and anna.token.version == 4 and anna.token != bert.token
    age = datetime.datetime.now(datetime.UTC) - anna.created
    assert abs(age) < datetime.timedelta(hours=1) and anna.joined is not None


def test_rows_that_are_there_keep_their_defaults_and_only_changed_ones_get_a_new_auto_now(
    project: Project,
) -> None:
    customers = model("Customer")
    for email, name in (("a@x.de", "Anna"), ("b@x.de", "Bert")):
        customers.objects.create(email=email, name=name, level="gold", notes="kept", credit=5)
    before = {one.email: one for one in customers.objects.all()}
    project.update("shop.Customer", "email,name", "a@x.de,Annie", "b@x.de,Bert")
    assert project.refreshed() == {"Customer": {"updated": 1, "unchanged": 1}}
    for one in customers.objects.all():
        was = before[one.email]
        kept = (one.level, one.notes, one.credit, one.token, one.created)
        assert kept == (was.level, was.notes, was.credit, was.token, was.created)
        assert (one.updated > was.updated) == (one.email == "a@x.de")


@pytest.mark.parametrize("uses_zones", [True, False])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC"])
def test_a_file_stays_unchanged_in_every_time_zone(
    project: Project, zone: str, uses_zones: bool
) -> None:
    from django.test import override_settings
    from django.utils import timezone

    project.update("shop.Price", "label,amount", "a,1")
    with override_settings(TIME_ZONE=zone, USE_TZ=uses_zones):
        project.use()
        project.refreshed()
        assert project.refreshed() == {"Price": None}
        (one,) = model("Price").objects.all()
        now = timezone.now()
        here = now.astimezone(timezone.get_default_timezone()) if uses_zones else now
        hour = datetime.timedelta(hours=1)
        assert abs(now - one.at) < hour
        assert abs(here.replace(tzinfo=None) - datetime.datetime.combine(one.day, one.time)) < hour
        project.use()


def test_a_masked_or_computed_column_alone_makes_no_row_differ(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0123456789abcdef, long"
    monkeypatch.setenv("WINDLASS_HASH_KEY", key)
    rules = {"notes": {"from": "notes", "mask": "hash"}, "name": {"sql": 'upper("name")'}}
    for name in ("bert", "bob"):
        project.update("shop.Customer", "email,name,notes", "a@x.de,ann,x", f"b@x.de,{name},y",
                       columns=rules)  # fmt: skip
        counts = project.refreshed()["Customer"]
        stamps = dict(values("Customer", "email", "updated"))
    assert counts == {"updated": 1, "unchanged": 1}
    assert stamps["a@x.de"] < stamps["b@x.de"]
    assert project.refreshed(again=True)["Customer"] == {"unchanged": 2}
    assert dict(values("Customer", "email", "updated")) == stamps
    hashed = hmac.new(key.encode(), b"x", hashlib.sha256).hexdigest()
    assert dict(values("Customer", "email", "notes"))["a@x.de"] == hashed


def test_values_are_stored_as_the_fields_store_them(project: Project) -> None:
    token = "0c1d4a7e-5b1f-4a39-9a55-0f8a4c1d2e3f"
    project.update(
        "shop.Customer",
        "email,name,credit,born,seen,patience,token,active,preferences",
        f'a@x.de,"A, ""B""",12.50,1990-02-28,2026-01-31T10:00:00+02:00,1 02:30:00,{token},false,'
        '"{""a"": [1]}"',
        "b@x.de,B,0,,,,,true,{}",
    )
    problem = project.refused()
    assert "line 3" in problem and "token" in problem  # it may not be empty
    project.update(
        "shop.Customer",
        "email,name,credit,born,seen,patience,token,active,preferences",
        f'a@x.de,"A, ""B""",12.50,1990-02-28,2026-01-31T10:00:00+02:00,1 02:30:00,{token},false,'
        '"{""a"": [1]}"',
    )
    project.refreshed()
    (one,) = model("Customer").objects.all()
    assert (one.name, one.credit, one.born) == (
        'A, "B"',
        Decimal("12.50"),
        datetime.date(1990, 2, 28),
    )
    assert one.seen == datetime.datetime(2026, 1, 31, 8, tzinfo=datetime.UTC)
    assert one.patience == datetime.timedelta(days=1, hours=2, minutes=30)
    assert (one.token, one.active, one.preferences) == (UUID(token), False, {"a": [1]})
    assert project.refreshed(again=True) == {"Customer": {"unchanged": 1}}


def test_a_foreign_key_is_found_by_a_natural_key_of_a_table_of_the_same_refresh(
    project: Project,
) -> None:
    project.update("shop.Customer", "email,name,country.code", "a@x.de,A,FR", "b@x.de,B,")
    project.update("shop.Country", *COUNTRIES)
    project.refreshed()
    found = model("Customer").objects.order_by("email").values_list("country__code", flat=True)
    assert list(found) == ["FR", None]


def test_a_natural_key_that_nobody_has_is_refused_by_its_line(project: Project) -> None:
    project.update("shop.Country", *COUNTRIES)
    project.update("shop.Customer", "email,name,country.code", "a@x.de,A,DE", "b@x.de,B,XX")
    said = project.refused()
    assert "line 3, column country.code: no shop.Country has it" in said and "XX" not in said
    assert values("Customer", "email") == []


def test_up_to_so_many_rows_are_set_aside_that_are_none_or_that_the_model_would_not_take(
    project: Project,
) -> None:
    project.update("shop.Country", *COUNTRIES)
    rows = ("a@x.de,A,DE", "b@x.de", "c@x.de,C,XX", "no,N,FR", "d@x.de,D,FR")
    wanted: dict[str, Any] = {"max-bad": 3}
    project.update("shop.Customer", "email,name,country.code", *rows, **wanted)
    assert project.refreshed()["Customer"] == {"inserted": 2, "refused": 3}
    project.update("shop.Customer", "email,name,country.code", rows[2], **wanted)
    assert project.refreshed()["Customer"] == {"refused": 1}
    found = dict(values("Customer", "email", "country__name"))
    assert found == {"a@x.de": "Germany", "d@x.de": "France"}
    project.update("shop.Customer", "email,name,country.code", *rows, "e@x.de,E,YY", **wanted)
    said = project.refused()
    assert "line 4, column country.code: no shop.Country has it" in said and "line 7" in said


def test_a_lookup_by_what_is_not_unique_is_refused(project: Project) -> None:
    project.update("shop.Customer", "email,name,country.name", "a@x.de,A,France")
    assert "country.name does not tell rows of shop.Country apart" in project.refused()


def test_rows_of_one_file_refer_to_each_other(project: Project) -> None:
    project.update("shop.Category", "slug,parent.slug", "leaf,child", "child,root", "root,")
    project.refreshed()
    parents = dict(model("Category").objects.values_list("slug", "parent__slug"))
    assert parents == {"leaf": "child", "child": "root", "root": None}
    assert set(project.refreshed()) == {"Category"}


def test_rows_that_refer_to_each_other_have_other_columns_too(project: Project) -> None:
    """Both loads of the file have the same words: the second one was taken for the first."""
    lines = ("slug,title,parent.slug", "leaf,Leaf,root", "root,Root,")
    project.update("shop.Category", *lines)
    project.refreshed()
    wanted = [("leaf", "Leaf", "root"), ("root", "Root", None)]
    assert values("Category", "slug", "title", "parent__slug") == wanted
    assert set(project.refreshed().values()) == {None}
    assert values("Category", "slug", "title", "parent__slug") == wanted
    project.update("shop.Category", *lines, "twig,Twig,leaf")
    assert project.refreshed()["Category"] == {"updated": 1, "unchanged": 2}
    assert values("Category", "slug", "title", "parent__slug") == [
        *wanted,
        ("twig", "Twig", "leaf"),
    ]


def test_a_file_is_loaded_again_if_its_fields_go_into_other_columns(project: Project) -> None:
    lines = ("email,name,alias", "a@x.de,A,B")
    project.update("shop.Customer", *lines, columns={"alias": None})
    project.refreshed()
    assert project.refreshed()["Customer"] is None
    project.update("shop.Customer", *lines, columns={"name": None, "alias": "name"})
    assert project.refreshed()["Customer"] == {"updated": 1}
    assert values("Customer", "name") == ["B"]


def test_a_cycle_of_foreign_keys_is_loaded_in_two_passes(project: Project) -> None:
    project.update("shop.Department", "name,head_id", "Sales,2", "IT,")
    project.update("shop.Employee", "number,department.name", "1,Sales", "2,Sales")
    project.refreshed()
    assert values("Department", "name", "head_id") == [("Sales", 2), ("IT", None)]
    assert len(values("Employee", "number")) == 2


def test_a_cycle_that_cannot_be_broken_is_refused(project: Project) -> None:
    project.update("shop.Left", "id,right_id", "1,1")
    project.update("shop.Right", "id,left_id", "1,1")
    assert "refer to each other by foreign keys that may not be empty" in project.refused()


@pytest.mark.parametrize("header", ["slug,name,stars", "id,slug,name,stars"])
def test_one_file_fills_the_tables_of_a_model_and_of_its_parent(
    project: Project, header: str
) -> None:
    rows = ["7,luigi,Luigi,3", "8,anna,Anna,1"]
    lines = rows if header.startswith("id") else [row.partition(",")[2] for row in rows]
    project.update("shop.Restaurant", header, *lines)
    counts = {"inserted": 2}
    assert project.refreshed() == {"Place": counts, "Restaurant": counts}
    found = model("Restaurant").objects.order_by("slug").values_list("slug", "name", "stars")
    assert list(found) == [("anna", "Anna", 1), ("luigi", "Luigi", 3)]
    project.update("shop.Restaurant", header, *(line.replace("3", "4") for line in lines))
    assert project.refreshed()["Restaurant"] == {"updated": 1, "unchanged": 1}


def test_a_many_to_many_table_is_filled_by_natural_keys(project: Project) -> None:
    project.update("shop.Product.tags", "product.sku,tag.name", "AB-1,red", "AB-1,new")
    project.update("shop.Product", "sku,name,price", "AB-1,Nut,1.50")
    project.update("shop.Tag", "name", "red", "new")
    project.refreshed()
    (product,) = model("Product").objects.all()
    assert sorted(product.tags.values_list("name", flat=True)) == ["new", "red"]
    project.update("shop.Product.tags", "product.sku,tag.name", "AB-1,red", "AB-1,new")
    assert project.refreshed(again=True)["Product_tags"] == {"unchanged": 2}


def test_a_unique_constraint_of_several_lookups_is_the_key(project: Project) -> None:
    project.update("shop.Product", "sku,name,price", "AB-1,Nut,1.50")
    project.update("shop.Place", "slug,name", "a,A", "b,B")
    header = "product.sku,place.slug,pieces"
    project.update("shop.Stock", header, "AB-1,a,3", "AB-1,b,4")
    project.refreshed()
    project.update("shop.Stock", header, "AB-1,a,3", "AB-1,b,5")
    assert project.refreshed()["Stock"] == {"updated": 1, "unchanged": 1}


def test_an_unmanaged_table_is_filled(project: Project) -> None:
    project.update("shop.Rate", "code,rate", "EUR,1.0850")
    assert project.refreshed() == {"Rate": {"inserted": 1}}
    assert values("Rate", "rate") == [Decimal("1.0850")]


def test_an_unmanaged_table_is_never_made(project: Project) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("drop table legacy_rates")
    project.update("shop.Rate", "code,rate", "EUR,1.0850")
    assert "there is no table legacy_rates, and the model is not managed" in project.refused()


def test_rows_without_a_key_go_into_an_empty_table_only(project: Project) -> None:
    project.update("shop.Visit", "page,at", "/,2026-01-01 10:00")
    assert project.refreshed() == {"Visit": {"inserted": 1}}
    assert project.refreshed() == {"Visit": None}
    project.update("shop.Visit", "page,at", "/,2026-01-01 10:00", "/b,2026-01-02 10:00")
    assert "has rows, and the input has no unique field to find them by" in project.refused()
    project.update("shop.Visit", "page,at", "/b,2026-01-02 10:00", load="append")
    assert project.refreshed() == {"Visit": {"inserted": 1}}


def test_keys_that_were_given_are_not_given_again(project: Project) -> None:
    project.update("shop.Country", "id,code,name", "41,DE,Germany", "42,FR,France")
    project.refreshed()
    assert model("Country").objects.create(code="IT", name="Italy").pk == 43


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nobody,A,plain,1", "line 2, column email: does not pass email validator"),
        ("a@x.de,A,iron,1", "accepted(level) does not hold for 1 row"),
        ("a@x.de,A,plain,-1", "range(credit) does not hold for 1 row"),
        (f"a@x.de,{'A' * 51},plain,1", "name"),
        ("a@x.de,,plain,1", "name"),
        ("a@x.de,A,plain,1.234", "credit"),
        ("a@x.de,A,plain,much", "credit"),
    ],
)
def test_a_row_that_the_model_would_not_take_stops_the_load(
    project: Project, row: str, reason: str
) -> None:
    project.update("shop.Customer", "email,name,level,credit", row)
    assert reason in project.refused()
    assert values("Customer", "pk") == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("ab-1,Nut,1,0", "line 2, column sku: does not pass regex validator"),
        ("AB-1,Nut,-1,0", "price"),
        ("AB-1,Nut,1,91", "range(discount) does not hold for 1 row"),
    ],
)
def test_validators_and_check_constraints_are_looked_at_before_the_load(
    project: Project, row: str, reason: str
) -> None:
    project.update("shop.Product", "sku,name,price,discount", row)
    assert reason in project.refused()


def test_a_row_that_refers_to_nothing_is_refused(project: Project) -> None:
    project.update("shop.Customer", "email,name,country", "a@x.de,A,99")
    assert "foreign-key(country_id) does not hold for 1 row" in project.refused()


def test_every_problem_of_every_update_is_listed_at_once(project: Project) -> None:
    project.update("shop.Country", "code,name,population", "DE,Germany,84")
    project.update("shop.Customer", "email,nam", "a@x.de,A")
    project.update("shop.Product", "sku,price", "AB-1,1")
    said = project.refused()
    assert "field population is no field of the model" in said
    assert "field nam is no field of the model: did you mean name?" in said.replace(" (", ": ")
    assert "field name is needed, and the input lacks it" in said


def test_columns_rename_drop_and_compute(project: Project) -> None:
    project.update(
        "shop.Customer", "Mail,Full name,Land,noise", "a@x.de,anna,DE,x",
        columns={"Mail": "email", "Full name": "name", "Land": "country.code", "noise": None,
                 "level": {"value": "gold"}, "notes": {"sql": "upper(\"name\")"}},
    )  # fmt: skip
    project.update("shop.Country", *COUNTRIES)
    project.refreshed()
    (one,) = model("Customer").objects.all()
    assert (one.email, one.country.code, one.level, one.notes) == ("a@x.de", "DE", "gold", "ANNA")


@pytest.mark.parametrize(
    ("email", "said"), [("nobody", "does not pass email validator"), ("a@x.de", "")]
)
def test_typed_inputs_are_checked_and_stored_like_texts(
    project: Project, email: str, said: str
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = project.folder / "customers.parquet"
    token = "0c1d4a7e-5b1f-4a39-9a55-0f8a4c1d2e3f"
    columns = {"email": [email], "name": ["A"], "credit": [Decimal("1.50")], "active": [False],
               "token": [token], "notes": pa.array([None], pa.string())}  # fmt: skip
    parquet.write_table(pa.table(columns), path)
    project.updates.append({"url": str(path), "table": "shop.Customer"})
    if said:
        assert said in project.refused()
        return
    project.refreshed()
    (one,) = model("Customer").objects.all()
    assert (one.credit, one.active, one.notes) == (Decimal("1.50"), False, "")
    assert one.token == UUID(token)


def test_many_rows_with_defaults_and_lookups_are_merged_by_batches(project: Project) -> None:
    countries = [f"{a}{b}" for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJ"]
    project.update("shop.Country", "code,name", *(f"{one},{one}" for one in countries))
    rows = [f"c{at}@x.de,C{at},{countries[at % 100]}" for at in range(3_000)]
    project.update("shop.Customer", "email,name,country.code", *rows)
    assert project.refreshed()["Customer"] == {"inserted": 3_000}
    before = dict(model("Customer").objects.values_list("email", "token"))
    rows[7] = "c7@x.de,Seven,AA"
    project.update("shop.Customer", "email,name,country.code", *rows)
    assert project.refreshed()["Customer"] == {"updated": 1, "unchanged": 2_999}
    assert dict(model("Customer").objects.values_list("email", "token")) == before
