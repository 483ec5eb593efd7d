"""The statistics page in the admin, and its tables as CSV files. For leads only."""

from __future__ import annotations

import re

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from review.models import Case
from review.statistics.filter import WINDOWS, StatisticsFilter
from review.statistics.report import TABLES, StatisticsReport

leads_only = permission_required("review.view_statistics", raise_exception=True)


@require_safe
@leads_only
def statistics(request: HttpRequest) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Statistics",
        "opts": Case._meta,
        "report": StatisticsReport(StatisticsFilter.from_query(request.GET)),
        "windows": WINDOWS,
    }
    return TemplateResponse(request, "admin/review/case/statistics.html", context)


@require_safe
@leads_only
def table(request: HttpRequest, name: str) -> HttpResponse:
    """Return all rows of one table as CSV, for the same time and model version as the page."""
    if name not in TABLES:
        raise Http404
    statistics_filter = StatisticsFilter.from_query(request.GET)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    file_name = "-".join(filter(None, ("statistics", name, statistics_filter.window, statistics_filter.model_version)))
    file_name = re.sub(r"[^\w.@-]+", "_", file_name, flags=re.ASCII)
    response["Content-Disposition"] = content_disposition_header(True, f"{file_name}.csv") or ""
    TABLES[name](StatisticsReport(statistics_filter)).write(response)
    return response
