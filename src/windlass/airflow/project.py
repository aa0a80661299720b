"""A Django project in another virtual environment, as DAGs name it: see `windlass.run.project`."""

from __future__ import annotations

from windlass.run.project import Answer, Project, Stopped, url_of

__all__ = ["Answer", "Project", "Stopped", "url_of"]
