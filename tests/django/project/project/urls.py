from __future__ import annotations

from importlib import import_module

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST


@require_POST
def refresh(request: HttpRequest) -> JsonResponse:
    """Has a worker refresh the tables."""
    import_module("project.celery")  # the application that the task is sent by
    from windlass.django.tasks import run_quarterly_update

    return JsonResponse({"task": run_quarterly_update.delay().id}, status=202)


urlpatterns = [path("admin/", admin.site.urls), path("refresh/", refresh)]
