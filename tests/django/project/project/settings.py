"""Settings; databases and updates come from the environment, as each test has others."""

from __future__ import annotations

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "of the tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
USE_TZ = os.environ.get("PROJECT_USE_TZ", "yes") == "yes"
TIME_ZONE = os.environ.get("PROJECT_TIME_ZONE", "UTC")
ROOT_URLCONF = "project.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "windlass.django",
    "shop",
    *json.loads(os.environ.get("PROJECT_APPS", "[]")),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES = json.loads(os.environ.get("PROJECT_DATABASES", "{}")) or {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
}
WINDLASS = json.loads(os.environ.get("PROJECT_WINDLASS", "{}")) or {"updates": []}
CELERY_BROKER_URL = os.environ.get("PROJECT_BROKER", "")
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_WORKER_SEND_TASK_EVENTS = True  # for Flower
CELERY_BEAT_SCHEDULE = {
    "refresh": {
        "task": "windlass.django.tasks.run_quarterly_update",
        "schedule": float(os.environ.get("PROJECT_BEAT_SECONDS", "3600")),
    }
}
