from django.urls import path

from feedback.history import views

app_name = "history"

urlpatterns = [
    path("history/", views.show_page, name="page"),
    path("history/delete/", views.delete_all, name="delete"),
    path("history/link/", views.make_link, name="link"),
    path("history/open/", views.open_link, name="open"),
]
