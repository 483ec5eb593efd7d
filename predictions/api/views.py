"""The API's operations on predictions, one class each."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions import classifiers, submission
from predictions.api.problems import CONTENT_TYPE, ProblemSerializer
from predictions.api.serializers import PredictionSerializer
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.uploads import parser
from predictions.uploads import validation as images

PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`respond-async` answers 202 at once; `wait=SECONDS` waits shorter than the server would (RFC 7240).",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    required=True,
    response=[503],
    description="Seconds after which it is worth trying again.",
)


def problem_schema(description: str) -> OpenApiResponse:
    return OpenApiResponse(ProblemSerializer, description=description)


# By hand: drf-spectacular describes a serializer's file as the address that it has in answers.
UPLOAD_SCHEMA = {
    "type": "object",
    "properties": {
        images.FIELD: {"type": "string", "format": "binary", "description": "one picture: JPEG, PNG, GIF or WebP"}
    },
    "required": [images.FIELD],
}


class PredictView(APIView):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="predict",
        summary="Classify one picture",
        parameters=[PREFER, RETRY_AFTER],
        request={"multipart/form-data": UPLOAD_SCHEMA},
        responses={
            200: PredictionSerializer,
            202: OpenApiResponse(PredictionSerializer, description="Accepted; the answer is not there yet."),
            (400, CONTENT_TYPE): problem_schema("No file, several files, an empty, incomplete or too complex picture."),
            (409, CONTENT_TYPE): problem_schema("It was cancelled while its sender waited."),
            (411, CONTENT_TYPE): problem_schema("No Content-Length."),
            (413, CONTENT_TYPE): problem_schema("Too many bytes or pixels."),
            (415, CONTENT_TYPE): problem_schema("Not a picture of a known format, or not multipart/form-data."),
            (422, CONTENT_TYPE): problem_schema("The picture is corrupt inside and cannot be decoded."),
            (500, CONTENT_TYPE): problem_schema("The classification failed."),
            (503, CONTENT_TYPE): problem_schema("The queue cannot be reached, or too much waits in it already."),
        },
    )
    def post(self, request: Request) -> Response:
        seconds = wait_seconds(request.headers.get("Prefer", ""))  # admitted already: see `predictions.admission`
        prediction = submission.prediction_request(
            upload=_picture(request), source=Prediction.Source.API, wait_seconds=seconds
        )
        if not prediction.is_waiting and not prediction.is_done:
            raise failure(prediction)
        body = PredictionSerializer(prediction, context={"request": request}).data
        if prediction.is_done:
            return Response(body)
        return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": body["links"]["self"]})


class PredictionView(APIView):
    @extend_schema(
        operation_id="prediction",
        summary="The state and the answer of a prediction",
        responses={200: PredictionSerializer, (404, CONTENT_TYPE): problem_schema("No such prediction.")},
    )
    def get(self, request: Request, prediction_id: UUID) -> Response:
        return Response(PredictionSerializer(get_prediction(prediction_id), context={"request": request}).data)

    @extend_schema(
        operation_id="cancel",
        summary="Cancel a prediction that still waits in the queue",
        responses={
            200: PredictionSerializer,
            (404, CONTENT_TYPE): problem_schema("No such prediction."),
            (409, CONTENT_TYPE): problem_schema("A worker has it already, or it has settled."),
        },
    )
    def delete(self, request: Request, prediction_id: UUID) -> Response:
        cancelled = submission.prediction_cancel(get_prediction(prediction_id))
        prediction = get_prediction(prediction_id)
        if not cancelled and prediction.state != Prediction.State.CANCELLED:
            message = f"The prediction is {prediction.get_state_display().lower()} and cannot be cancelled any more."
            raise RequestRejected("not-cancellable", message, status=409)
        return Response(PredictionSerializer(prediction, context={"request": request}).data)


class ModelSerializer(serializers.Serializer[Any]):
    model = serializers.CharField(help_text="name@version")
    active = serializers.BooleanField()
    classes = serializers.IntegerField()
    input_size = serializers.IntegerField(help_text="pixels of a side")


class ModelsView(APIView):
    @extend_schema(operation_id="models", summary="The installed model versions", responses=ModelSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(classifiers.installed_models())


def _picture(request: Request) -> UploadedFile[bytes]:
    """Read past REST framework's own parser, which takes several times as long."""
    if request.content_type and not parser.is_form(request._request):
        raise UnsupportedMediaType(request.content_type)
    return images.only_file(request._request)


def get_prediction(prediction_id: UUID) -> Prediction:
    try:
        return Prediction.objects.get(pk=prediction_id)
    except Prediction.DoesNotExist as error:
        raise Http404 from error


def wait_seconds(prefer: str) -> float:
    """How long to wait for the answer, given a `Prefer` header (RFC 7240); what it does not understand it ignores."""
    preferences = [preference.strip().lower() for preference in re.split("[,;]", prefer)]
    if "respond-async" in preferences:
        return 0
    longest = float(settings.PREDICT_WAIT_SECONDS)
    for preference in preferences:
        if wish := re.fullmatch(r"wait\s*=\s*\"?(\d{1,6})\"?", preference):
            return min(float(wish[1]), longest)
    return longest


def failure(prediction: Prediction) -> RequestRejected:
    """The error to answer with when a prediction settled without an answer while its sender waited."""
    if prediction.is_our_failure:
        return RequestRejected(prediction.error_code, prediction.error, status=500)
    if prediction.state == Prediction.State.FAILED:
        return RequestRejected(prediction.error_code, prediction.error, status=422)
    return RequestRejected(
        prediction.state, f"The prediction was {prediction.get_state_display().lower()}.", status=409
    )
