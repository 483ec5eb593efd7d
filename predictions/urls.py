from django.urls import path

from predictions import views

app_name = "predictions"

urlpatterns = [
    path("", views.upload, name="upload"),
    path("predictions/<uuid:prediction_id>/", views.result, name="result"),
    path("predictions/<uuid:prediction_id>/delete/", views.delete, name="delete"),
    path("predictions/<uuid:prediction_id>/picture", views.picture, name="picture"),
    path("predictions/<uuid:prediction_id>/thumbnail", views.thumbnail, name="thumbnail"),
]
