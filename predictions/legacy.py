"""The `/predict` endpoint of the original course service, for clients that were written for it."""

from datetime import timedelta
from pathlib import PurePath

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from predictions import labels, submission
from predictions.client_address import client_network
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.uploads import validation as images

PATH = "/predict"
ALLOWED_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif"})


@csrf_exempt  # the view acts for no user: there is no session that another site could misuse
@require_POST
def predict(request: HttpRequest) -> JsonResponse:
    """Answers with exactly three keys. `prediction` is the label's name, which other labels may share.

    Without an answer two are null, and the status is 400, or 503 if the site is at fault.
    """
    seconds = settings.PREDICT_WAIT_SECONDS
    try:
        file = images.only_file(request)
        if PurePath(file.name or "").suffix.lower() not in ALLOWED_SUFFIXES:
            return _response(status=400)
        # These clients cannot fetch a late answer, so the prediction expires when they stop waiting.
        prediction = submission.prediction_request(
            upload=file,
            source=Prediction.Source.LEGACY,
            client=client_network(request),
            wait_seconds=seconds,
            expires_after=timedelta(seconds=seconds),
        )
    except RequestRejected as rejection:
        return rejection_response(request, rejection)
    if prediction.is_done:
        return _response(prediction)
    is_fault_of_the_picture = prediction.state == Prediction.State.FAILED and not prediction.is_our_failure
    return _response(status=400 if is_fault_of_the_picture else 503)


def rejection_response(_request: HttpRequest, rejection: RequestRejected) -> JsonResponse:
    return failure_response(rejection.status, rejection.headers)


def failure_response(status: int, headers: dict[str, str] | None = None) -> JsonResponse:
    """Returns the response to a request that failed. These clients know 400 as the status of all their own errors."""
    return _response(status=status if status in {408, 429} or status >= 500 else 400, headers=headers)


def _response(
    prediction: Prediction | None = None, *, status: int = 200, headers: dict[str, str] | None = None
) -> JsonResponse:
    return JsonResponse(
        {
            "success": prediction is not None,
            "prediction": _name(prediction) if prediction else None,
            "score": round(prediction.score or 0, 4) if prediction else None,
        },
        status=status,
        headers=headers,
    )


def _name(prediction: Prediction) -> str:
    """Returns the name of the best label as Keras knows it, such as `crane` for `crane (bird)`."""
    label = labels.of_version(prediction.model_version).get(prediction.label)
    return label.name if label else prediction.label
