"""The page of an int8 version: how it compares with its base. For leads."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from learning.models import FlippedAnswer, Quantization
from learning.versions.views import page_of
from predictions import classifiers
from predictions.models import Prediction

may_view = permission_required("learning.view_quantization", raise_exception=True)


@may_view
@require_safe
def report(request: HttpRequest, quantization_id: str) -> HttpResponse:
    if not quantization_id.isdecimal():
        raise Http404("There is no such report.")
    quantization = get_object_or_404(Quantization, pk=quantization_id)
    flips = _shown(quantization)
    context = {
        **admin.site.each_context(request),
        "title": f"{quantization.base} in int8",
        "opts": Quantization._meta,
        "quantization": quantization,
        "flips": flips,
        "is_active": classifiers.active_name() == quantization.model_version,
        "is_installed": classifiers.installed_version(quantization.model_version) is not None,
        "model_page": page_of(quantization.model_version),
    }
    return TemplateResponse(request, "admin/learning/quantization/report.html", context)


@may_view
@require_safe
@cache_control(private=True, max_age=86_400)
def picture(request: HttpRequest, flip_id: int) -> HttpResponse:
    """Serves the picture of a flipped answer that is not stored as an image."""
    flip = get_object_or_404(FlippedAnswer, pk=flip_id)
    if not flip.thumbnail:
        raise Http404("There is no picture.")
    return HttpResponse(bytes(flip.thumbnail), content_type="image/jpeg")


def _shown(quantization: Quantization) -> QuerySet[FlippedAnswer]:
    """The flipped answers, each with the id of a prediction of its image. Pictures being erased are left out."""
    predictions = Prediction.objects.filter(image=OuterRef("image")).order_by("-created_at")
    return (
        quantization.flips.filter(Q(image__isnull=True) | Q(image__erased_at__isnull=True))
        .annotate(prediction_id=Subquery(predictions.values("pk")[:1]))
        .defer("thumbnail")
    )
