"""`/predict` as the original course service answered it, for the clients that were written for it."""

from datetime import timedelta
from pathlib import PurePath

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from predictions import submission
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.uploads import validation as images

ALLOWED_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif"})


@csrf_exempt  # it acts for nobody: there is no session that a foreign page could misuse
@require_POST
def predict(request: HttpRequest) -> JsonResponse:
    """Exactly three keys, whatever happens; anything but an answer is 400 with nulls, or 503 if it is our fault."""
    try:
        backpressure.require_room(wait_limit=settings.PREDICT_WAIT_SECONDS)
    except RequestRejected as rejection:
        return _answer(status=rejection.status, headers=rejection.headers)
    try:
        file = images.only_file(request)
    except RequestRejected:
        return _answer(status=400)
    try:
        if PurePath(file.name or "").suffix.lower() not in ALLOWED_SUFFIXES:
            return _answer(status=400)
        # These clients cannot come back for a late answer, so nobody wants it after the wait.
        seconds = settings.PREDICT_WAIT_SECONDS
        prediction = submission.prediction_request(
            upload=file,
            source=Prediction.Source.OLD_CLIENT,
            wait_seconds=seconds,
            expires_after=timedelta(seconds=seconds),
        )
    except RequestRejected as rejection:
        return _answer(status=503, headers=rejection.headers) if rejection.status == 503 else _answer(status=400)
    if prediction.is_done:
        return _answer(prediction)
    is_the_picture_s_fault = prediction.state == Prediction.State.FAILED and not prediction.is_our_failure
    return _answer(status=400 if is_the_picture_s_fault else 503)


def _answer(
    prediction: Prediction | None = None, *, status: int = 200, headers: dict[str, str] | None = None
) -> JsonResponse:
    return JsonResponse(
        {
            "success": prediction is not None,
            "prediction": prediction.label if prediction else None,
            "score": round(prediction.score or 0, 4) if prediction else None,
        },
        status=status,
        headers=headers,
    )
