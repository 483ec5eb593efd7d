"""The page of one prediction: its state, its answer, and what people say about it."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions import classifiers, queues, submission
from predictions.admission import backpressure
from predictions.client_address import client_network
from predictions.delays import DELAYED_SECONDS, delay
from predictions.models import Prediction
from predictions.uploads import display
from predictions.views.robots import not_indexed

# The result page waits this long for the answer, so that most pages show it at once. A page without an answer reloads.
PAGE_WAIT_SECONDS = 3

# The states in which the picture is not to blame that there is no answer.
_UNANSWERED = frozenset({Prediction.State.EXPIRED, Prediction.State.CANCELLED})


@require_safe
@never_cache
@not_indexed
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
    return result_page(request, prediction)


def result_page(
    request: HttpRequest,
    prediction: Prediction,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] = MappingProxyType({}),
    **context: object,
) -> HttpResponse:
    """Renders the page of a prediction, which has its image.

    `context`: `rejection`, the message of a rejected request; `form`, a feedback form with errors.
    """
    context |= {
        "prediction": prediction,
        "shows_picture": prediction.state != Prediction.State.FAILED or prediction.is_our_failure,
        "has_several_frames": display.has_several_frames(prediction.image),
        "other_version": _other_version(prediction),
        "can_try_again": prediction.state in _UNANSWERED or prediction.is_our_failure,
    }
    if prediction.is_waiting:
        context |= _waiting_context(prediction)
    response = render(request, "predictions/result.html", context, status=status)
    for name, value in headers.items():
        response[name] = value
    return response


def _other_version(prediction: Prediction) -> str:
    """Returns the active model version if it is another than the one that answered, and otherwise an empty string."""
    active = classifiers.active_name() if prediction.is_done else ""
    return active if active != prediction.model_version else ""


def _waiting_context(prediction: Prediction) -> dict[str, object]:
    waited = prediction.age_seconds
    is_queued = prediction.state == Prediction.State.QUEUED and backpressure.load.is_known
    position = queues.position(prediction.id) if is_queued else None
    return {
        "waited": timedelta(seconds=int(waited)),
        "ahead": None if position is None else position - 1,
        "is_delayed": waited > DELAYED_SECONDS or bool(delay.reason),
        "reload_seconds": backpressure.reload_seconds(waited),
    }
