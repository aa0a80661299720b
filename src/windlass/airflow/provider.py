"""What Airflow asks a provider package about itself."""

from __future__ import annotations

from typing import Any

from windlass.version import __version__


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "windlass-db",  # Airflow compares it with the distribution
        "name": "Windlass",
        "description": "Migrates databases: plans, runs and proves a migration, and can undo it.",
        "versions": [__version__],
        "extra-links": [
            "windlass.airflow.links.ReportLink",
            "windlass.airflow.gates.ValidationLink",
        ],
    }
