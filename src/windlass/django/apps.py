"""The application, as Django's registry knows it."""

from __future__ import annotations

from django.apps import AppConfig


class WindlassConfig(AppConfig):
    name = "windlass.django"
    label = "windlass"
    verbose_name = "Windlass"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from windlass.django import checks

        checks.register()
