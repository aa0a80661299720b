"""Permissions alone: runs have no table."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Run",
            fields=[("run", models.CharField(max_length=40, primary_key=True, serialize=False))],
            options={
                "verbose_name": "run of loads",
                "verbose_name_plural": "runs of loads",
                "permissions": (("undo_run", "Can undo a run of loads"),),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    )
