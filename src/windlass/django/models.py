"""What Django needs to know of runs for permissions and the admin. There is no table of them: runs
are in the journal of the database that they changed."""

from __future__ import annotations

from django.db import models


class Run(models.Model):
    run = models.CharField(primary_key=True, max_length=40)

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = (("undo_run", "Can undo a run of loads"),)
        verbose_name = "run of loads"
        verbose_name_plural = "runs of loads"

    def __str__(self) -> str:
        return str(self.run)
