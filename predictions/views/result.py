"""The page of one prediction: its state, its answer, and what people say about it."""

from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions import queues, submission
from predictions.admission import backpressure
from predictions.client_address import client_network
from predictions.delays import DELAYED_SECONDS, delay
from predictions.models import Prediction
from predictions.uploads import display

# The result page waits this long for the answer, so that most pages show it at once. A page without an answer reloads.
PAGE_WAIT_SECONDS = 3


@require_safe
@never_cache
def result(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    backpressure.load.refresh()
    try:
        # While the queue cannot be reached, no answer comes.
        seconds = PAGE_WAIT_SECONDS if backpressure.load.is_known else 0
        prediction = submission.prediction_wait(prediction_id, seconds, client=client_network(request))
    except Prediction.DoesNotExist as error:
        raise Http404("There is no such prediction.") from error
    if prediction.is_erased:
        return render(request, "predictions/deleted.html", status=HTTPStatus.GONE)
    context: dict[str, object] = {
        "prediction": prediction,
        "is_animation": display.is_animation(prediction.image),
    }
    if prediction.is_waiting:
        waited = prediction.age_seconds
        is_queued = prediction.state == Prediction.State.QUEUED and backpressure.load.is_known
        position = queues.position(prediction.id) if is_queued else None
        context |= {
            "waited": timedelta(seconds=int(waited)),
            "ahead": None if position is None else position - 1,
            "is_delayed": waited > DELAYED_SECONDS or bool(delay.reason),
            "reload_seconds": backpressure.reload_seconds(waited),
        }
    return render(request, "predictions/result.html", context)
