"""Signals. `refreshed` is sent once per model, after its rows are loaded and committed; `pre_save`
and `post_save` are not sent, as by `bulk_create`.

`sender` is the model; keywords are `run`, which undoing takes, `counts`, named as in
`windlass.model.load.Counts`, and `using`, the database's alias.
"""

from __future__ import annotations

from django.dispatch import Signal

refreshed = Signal()
