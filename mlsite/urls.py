"""All URLs of the site. docs/api.md describes each, except those of the admin."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from feedback import legacy as feedback_legacy
from feedback.api import FeedbackView
from mlsite import health, metrics
from mlsite.admin.addresses import view_on_site
from mlsite.admin.status import status_page
from mlsite.schema import SchemaView
from mlsite.web_manifest import web_manifest
from predictions import legacy as predictions_legacy
from predictions.api import views as api
from predictions.api.labels import LabelsView
from predictions.api.many import PredictionsView
from predictions.views.reference_images import reference_image

api_urls = [
    path("predict", api.PredictView.as_view(), name="predict"),
    path("predictions", PredictionsView.as_view(), name="predictions"),
    path("predictions/<uuid:prediction_id>", api.PredictionView.as_view(), name="prediction"),
    path("predictions/<uuid:prediction_id>/cancel", api.CancelView.as_view(), name="cancel"),
    path("feedback", FeedbackView.as_view(), name="feedback"),
    path("labels", LabelsView.as_view(), name="labels"),
    path("models", api.ModelsView.as_view(), name="models"),
    path("models/<version>/labels/<position>/<number>.jpg", reference_image, name="reference-image"),
    path("schema", SchemaView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
]

legacy_urls = [
    path("predict", predictions_legacy.predict, name="predict"),
    path("feedback", feedback_legacy.feedback, name="feedback"),
]

urlpatterns = [
    path("", include("predictions.urls")),
    path("", include("feedback.urls")),
    path("", include("feedback.history.urls")),
    path("", include((legacy_urls, "old"))),
    path("api/", include((api_urls, "api"))),
    path("admin/r/<path:content_type_id>/<path:object_id>/", admin.site.admin_view(view_on_site)),
    path("admin/status/", status_page, name="status"),
    path("admin/", admin.site.urls),
    path("manifest.webmanifest", web_manifest, name="web-manifest"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]

handler400 = "mlsite.errors.bad_request"
handler403 = "mlsite.errors.permission_denied"
handler404 = "mlsite.errors.page_not_found"
handler500 = "mlsite.errors.server_error"
