"""Database routers."""

from typing import Any


class UnmanagedModelRouter:
    """Tells Django which models have no table, so that `dumpdata` leaves them out.

    They are those of django-rq's admin pages, and `learning.models.InstalledModel`.
    """

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        model = hints.get("model")
        return False if model is not None and not model._meta.managed else None
