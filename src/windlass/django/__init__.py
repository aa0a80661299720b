"""A Django application that refreshes a project's tables from files, as its models say.

``INSTALLED_APPS += ["windlass.django"]``, and the setting ``WINDLASS``. It translates settings and
models into a spec of loads, and results into what commands, tasks and the admin show.
"""
