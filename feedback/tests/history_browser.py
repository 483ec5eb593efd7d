"""A browser with a history, for tests: Django's test client with a visitor's cookie."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from predictions import visitors
from predictions.models import Prediction
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import picture


class HistoryBrowser(Client):
    """A browser that presses buttons with its CSRF token. `visitor`: the id by which the site knows it."""

    def __init__(self, token: str) -> None:
        super().__init__(enforce_csrf_checks=True)
        response = HttpResponse()
        visitors.set_token(response, token)
        self.cookies[visitors.COOKIE] = response.cookies[visitors.COOKIE].value
        self.visitor = visitors.visitor_of(token)

    def send_picture(self, number: int = 0, **changes: Any) -> Prediction:
        """Stores a prediction of this browser: the picture with this number, sent that many minutes ago."""
        image = stored_image(picture(seed=number))
        created_at = timezone.now() - timedelta(minutes=number)
        return stored_prediction(image, **{"sender": self.visitor, "created_at": created_at} | changes)


def press(client: Client, address: str, **fields: str) -> Any:
    """Submits the form of a page. Returns the response, without following a redirect."""
    client.get(address)
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    return client.post(address, {"csrfmiddlewaretoken": token, **fields})


def file_names(page: str) -> list[str]:
    """Returns the file names on a page of the history, in order."""
    return re.findall(r'class="sent-file">([^<]*)', page)
