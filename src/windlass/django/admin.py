"""A page of Django's admin: the runs of loads in each database, and undoing one. It reads the
journals, and changes nothing except by undoing."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

import windlass
from windlass.django.answers import without_secrets
from windlass.django.databases import url_of
from windlass.django.models import Run
from windlass.django.outcome import described
from windlass.django.past import foresee, runs_of, undo
from windlass.django.planning import read_configured
from windlass.errors import Refused, WindlassError
from windlass.model.outcome import RunDetail, RunStatus, State

MOST = 25  # only the newest runs, because each is read from the journal


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):
    """Only users with `windlass.view_run` see it, and only users with `windlass.undo_run` can
    undo."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.runs_view), name="windlass_run_changelist"),
            path("<str:alias>/<str:run>/undo/", view(self.undo_view), name="windlass_run_undo"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may_undo(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("windlass.undo_run"))

    def runs_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        databases = [_database(alias) for alias in _aliases()]
        context = {
            **self.admin_site.each_context(request),
            "title": "Runs of loads",
            "opts": self.opts,
            "databases": databases,
            "may_undo": self.may_undo(request),
        }
        return TemplateResponse(request, "admin/windlass/run/runs.html", context)

    @method_decorator(csrf_protect)
    def undo_view(self, request: HttpRequest, alias: str, run: str) -> HttpResponse:
        """Show what undoing the run will do; with POST, do it."""
        if not (self.has_view_permission(request) and self.may_undo(request)):
            raise PermissionDenied
        if alias not in _aliases():
            raise Http404(f"no database {alias}")
        try:
            if request.method == "POST":
                return self._undo(request, alias, run)
            foreseen = foresee(alias, run)
        except Refused as error:
            raise Http404(str(error)) from error
        except WindlassError as error:
            messages.error(request, without_secrets(str(error)))
            return _back()
        context = {
            **self.admin_site.each_context(request),
            "title": f"Undo run {run}?",
            "opts": self.opts,
            "run": run,
            "foreseen": foreseen,
            "written": described(foreseen.written) if foreseen else [],
            "blocked": described(foreseen.blocked) if foreseen else [],
        }
        return TemplateResponse(request, "admin/windlass/run/undo.html", context)

    def _undo(self, request: HttpRequest, alias: str, run: str) -> HttpResponse:
        result = undo(alias, run, skip_changed=request.POST.get("others") == "skip")
        if result.state is State.ROLLED_BACK:
            messages.success(request, " ".join(result.notices))
            _log(request, run, "Undone.")
        else:
            messages.error(request, without_secrets("\n".join(result.lines)))
        return _back()


def _back() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:windlass_run_changelist"))


def _log(request: HttpRequest, run: str, message: str) -> None:
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type_id=ContentType.objects.get_for_model(Run).pk,
        object_id=run,
        object_repr=f"run {run}",
        action_flag=CHANGE,
        change_message=message,
    )


def _aliases() -> list[str]:
    """Databases that updates go to, or could go to."""
    found = []
    for alias in dict.fromkeys([read_configured().database or "default", *settings.DATABASES]):
        try:
            url_of(alias)
        except Refused:
            continue  # loads do not support its engine
        found.append(alias)
    return found


def _database(alias: str) -> dict[str, Any]:
    """What the page shows of one database."""
    try:
        runs = runs_of(alias)[:MOST]
        rows = [_row(alias, one) for one in runs]
    except WindlassError as error:
        return {"alias": alias, "fault": without_secrets(str(error)), "rows": []}
    return {"alias": alias, "fault": "", "rows": rows}


def _row(alias: str, one: RunStatus) -> dict[str, Any]:
    detail: RunDetail = windlass.read_run(url_of(alias), one.run)
    outcome = detail.outcome
    counts = outcome.totals.counts if outcome else {}
    tables = ", ".join(it.target for it in outcome.relations) if outcome else ""
    return {
        "run": one.run,
        "alias": alias,
        "state": str(one.state),
        "tables": tables or detail.options.get("loads", ""),
        "source": one.source,
        "counts": [(word, number) for word, number in counts.items() if number],
        "started": one.started_at[:19],
        "finished": one.finished_at[:19],
        "undoable": one.state not in (State.ROLLED_BACK, State.REFUSED) and not one.active,
    }
