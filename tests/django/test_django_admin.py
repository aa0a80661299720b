"""The page of Django's admin: runs with their counts, and undo for those who may."""

from __future__ import annotations

from typing import Any

import pytest

from django_project import Project, model, values


@pytest.fixture
def loaded(project: Project) -> Project:
    project.update("shop.Country", "code,name", "DE,Germany", "FR,France")
    project.refreshed()
    return project


def client(*permissions: str) -> Any:
    """A browser of a member of staff with these permissions; it sends no CSRF token by itself."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    user = User.objects.create_user("ann", password="secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    found = Client(enforce_csrf_checks=True)
    found.force_login(user)
    return found


def undo_path(project: Project) -> str:
    from windlass.django.past import runs_of

    (run,) = runs_of("default")
    return f"/admin/windlass/run/default/{run.run}/undo/"


def test_runs_are_listed_with_their_counts_to_those_who_may_see_them(loaded: Project) -> None:
    page = client("view_run").get("/admin/windlass/run/").content.decode()
    assert "shop_country" in page and "2 inserted" in page
    assert "Undo" not in page


def test_others_see_nothing(loaded: Project) -> None:
    browser = client()
    assert browser.get("/admin/windlass/run/").status_code == 403
    assert browser.get(undo_path(loaded)).status_code == 403


def test_undo_is_for_those_who_may_and_says_what_it_will_do(loaded: Project) -> None:
    path = undo_path(loaded)
    browser = client("view_run", "undo_run")
    assert path in browser.get("/admin/windlass/run/").content.decode()
    page = browser.get(path).content.decode()
    assert "deletes 2" in page
    assert values("Country", "code") == ["DE", "FR"]
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    assert browser.post(path).status_code == 403  # without the token
    assert values("Country", "code") == ["DE", "FR"]
    done = browser.post(path, {"csrfmiddlewaretoken": token}, follow=True).content.decode()
    assert "is rolled back" in done and "rolled back</td>" in done
    assert values("Country", "code") == []
    assert "already undone" in browser.get(path).content.decode()
    assert model("admin.LogEntry").objects.get().change_message == "Undone."


def test_who_may_only_see_cannot_undo(loaded: Project) -> None:
    path = undo_path(loaded)
    browser = client("view_run")
    token = "x" * 64
    browser.cookies["csrftoken"] = token
    assert browser.post(path, {"csrfmiddlewaretoken": token}).status_code == 403
    assert values("Country", "code") == ["DE", "FR"]


def test_rows_that_others_changed_are_named_before_and_may_be_left(loaded: Project) -> None:
    model("Country").objects.filter(code="FR").update(name="La France")
    path = undo_path(loaded)
    browser = client("view_run", "undo_run")
    page = browser.get(path).content.decode()
    assert "Others have changed rows since" in page
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    refused = browser.post(path, {"csrfmiddlewaretoken": token}, follow=True).content.decode()
    assert "Refused" in refused and len(values("Country", "pk")) == 2
    browser.post(path, {"csrfmiddlewaretoken": token, "others": "skip"})
    assert values("Country", "name") == ["La France"]


def test_an_unknown_run_is_not_found(loaded: Project) -> None:
    browser = client("view_run", "undo_run")
    path = "/admin/windlass/run/default/20200101_0000_abcd/undo/"
    assert browser.get(path).status_code == 404
    assert browser.get(path.replace("default", "nowhere")).status_code == 404
