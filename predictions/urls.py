from django.urls import path

from predictions.views import again, deleting, pictures, result, upload

app_name = "predictions"

urlpatterns = [
    path("", upload.upload, name="upload"),
    path("predictions/<uuid:prediction_id>/", result.result, name="result"),
    path("predictions/<uuid:prediction_id>/again/", again.again, name="again"),
    path("predictions/<uuid:prediction_id>/delete/", deleting.delete, name="delete"),
    path("predictions/<uuid:prediction_id>/picture", pictures.picture, name="picture"),
    path("predictions/<uuid:prediction_id>/thumbnail", pictures.thumbnail, name="thumbnail"),
    path("predictions/<uuid:prediction_id>/model-view", pictures.model_view, name="model-view"),
]
