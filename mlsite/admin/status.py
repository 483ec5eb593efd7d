"""The status page of the admin: whether pictures are answered, and if not, why. For leads."""

from __future__ import annotations

import shutil
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mlsite import health
from predictions import classifiers, queues
from predictions.admission import backpressure
from predictions.delays import delay
from predictions.models import Prediction
from worker.rq_batch.liveness import LiveWorker, live_workers

PERMISSION = "review.view_statistics"  # leads have it


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Status",
        "parts": health.states(),
        "delay": delay.reason,
        "active_model": classifiers.active_name(),
        "workers": _workers(),
        "free_gigabytes": shutil.disk_usage(settings.DATA_DIR).free / 1e9,
        **_queue(),
    }
    return render(request, "admin/status.html", context)


status_page = admin.site.admin_view(permission_required(PERMISSION, raise_exception=True)(status))


def _queue() -> dict[str, Any]:
    """Length and speed of the queue, and the age of the oldest prediction in it; what cannot be read is left out."""
    found: dict[str, Any] = {}
    backpressure.load.refresh()
    if backpressure.load.is_known:
        found |= {"length": backpressure.load.length, "rate": backpressure.load.rate}
    try:
        oldest = Prediction.objects.waiting().order_by("created_at").values_list("created_at", flat=True).first()
    except DatabaseError:
        return found
    return found | {"oldest": timezone.now() - oldest if oldest else None}


def _workers() -> list[LiveWorker]:
    try:
        return sorted(live_workers(queues.queue()), key=lambda worker: (worker.hostname, worker.pid))
    except redis.RedisError:
        return []
