"""The API's operations on predictions, one class each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions import classifiers, erasing, idempotency, submission, visitors
from predictions.api.prefer import wait_seconds
from predictions.api.problems import CONTENT_TYPE, ProblemSerializer
from predictions.api.serializers import PredictionSerializer
from predictions.client_address import client_network
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.uploads import parser
from predictions.uploads import validation as images

PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`respond-async` answers at once; `wait=SECONDS` limits the wait for the answer (RFC 7240). The status "
    "is 202 without an answer, and 200 with one: that of a picture that was classified before is known at once.",
)
IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    OpenApiTypes.UUID,
    OpenApiParameter.HEADER,
    description="A picture that is sent again with the same key gets the same prediction: for a request whose answer "
    "was lost. Choose a random UUID for each picture.",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    required=True,
    response=[429, 503],
    description="Seconds after which to try again.",
)


def problem_schema(description: str) -> OpenApiResponse:
    return OpenApiResponse(ProblemSerializer, description=description)


# Written by hand: drf-spectacular describes a file field by the URL that a response holds, not by its bytes.
UPLOAD_SCHEMA = {
    "type": "object",
    "properties": {
        images.FIELD: {
            "type": "string",
            "format": "binary",
            "description": "one picture: " + ", ".join(Image.Format.values),
        }
    },
    "required": [images.FIELD],
}


class PredictView(APIView):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="predict",
        summary="Classify one picture",
        parameters=[PREFER, IDEMPOTENCY_KEY, RETRY_AFTER],
        request={"multipart/form-data": UPLOAD_SCHEMA},
        responses={
            200: PredictionSerializer,
            202: OpenApiResponse(PredictionSerializer, description="Accepted, not answered yet."),
            (400, CONTENT_TYPE): problem_schema("No file, several files, an empty, incomplete or too complex picture."),
            (409, CONTENT_TYPE): problem_schema("The prediction was cancelled during the wait."),
            (408, CONTENT_TYPE): problem_schema("The body took too long to arrive."),
            (410, CONTENT_TYPE): problem_schema("The picture was deleted during the wait."),
            (413, CONTENT_TYPE): problem_schema("Too many bytes or pixels."),
            (415, CONTENT_TYPE): problem_schema(
                "Not a picture of a known format, not multipart/form-data, or compressed."
            ),
            (422, CONTENT_TYPE): problem_schema(
                "The picture is corrupt and cannot be decoded, or its Idempotency-Key belongs to another picture."
            ),
            (429, CONTENT_TYPE): problem_schema("The client has sent too many requests, or has too many waiting."),
            (500, CONTENT_TYPE): problem_schema("The classification failed."),
            (503, CONTENT_TYPE): problem_schema("The queue cannot be reached, or the service is too busy."),
        },
    )
    def post(self, request: Request) -> Response:
        prediction = submission.prediction_request(
            upload=_picture(request),
            source=Prediction.Source.API,
            client=client_network(request._request),
            wait_seconds=wait_seconds(request.headers.get("Prefer", "")),
            sender=visitors.known_visitor(request._request),
            request_key=idempotency.key(request._request),
        )
        erasing.require_not_erased(prediction)
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
        responses={
            200: PredictionSerializer,
            (404, CONTENT_TYPE): problem_schema("No such prediction."),
            (410, CONTENT_TYPE): problem_schema("The picture was deleted."),
        },
    )
    def get(self, request: Request, prediction_id: UUID) -> Response:
        prediction = get_prediction(prediction_id)
        erasing.require_not_erased(prediction)
        return Response(PredictionSerializer(prediction, context={"request": request}).data)

    @extend_schema(
        operation_id="delete",
        summary="Delete a picture and what was said about it",
        description="A picture that was sent by API without a visitor's cookie can be deleted by anyone who knows the "
        "id of its prediction. A queued or running prediction is cancelled. The file itself stays if somebody else has "
        "sent the same picture, or if a reviewer's decision needs it.",
        responses={
            204: OpenApiResponse(description="Deleted, now or before."),
            (403, CONTENT_TYPE): problem_schema("Somebody else has sent it, by the web page."),
            (404, CONTENT_TYPE): problem_schema("No such prediction."),
            (503, CONTENT_TYPE): problem_schema("The picture is being sent all the time."),
        },
    )
    def delete(self, request: Request, prediction_id: UUID) -> Response:
        try:
            erasing.prediction_delete(prediction_id, visitor=visitors.known_visitor(request._request))
        except Prediction.DoesNotExist as error:
            raise Http404 from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class CancelView(APIView):
    @extend_schema(
        operation_id="cancel",
        summary="Cancel a queued prediction",
        description="A prediction that was sent by API without a visitor's cookie can be cancelled by anyone who knows "
        "its id.",
        request=None,
        responses={
            200: PredictionSerializer,
            (403, CONTENT_TYPE): problem_schema("Somebody else has sent it, with a visitor's cookie."),
            (404, CONTENT_TYPE): problem_schema("No such prediction."),
            (409, CONTENT_TYPE): problem_schema("A worker has started it, or it has settled."),
            (410, CONTENT_TYPE): problem_schema("The picture was deleted."),
        },
    )
    def post(self, request: Request, prediction_id: UUID) -> Response:
        try:
            prediction = submission.prediction_cancel(prediction_id, visitor=visitors.known_visitor(request._request))
        except Prediction.DoesNotExist as error:
            raise Http404 from error
        return Response(PredictionSerializer(prediction, context={"request": request}).data)


class ModelSerializer(serializers.Serializer[Any]):
    model = serializers.CharField(help_text="name@version")
    active = serializers.BooleanField()
    classes = serializers.IntegerField()
    input_size = serializers.IntegerField(help_text="the same as `input_width`, kept for existing programs")
    input_width = serializers.IntegerField(help_text="what the network takes, in pixels")
    input_height = serializers.IntegerField(help_text="what the network takes, in pixels")


class ModelsView(APIView):
    @extend_schema(operation_id="models", summary="The installed model versions", responses=ModelSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(classifiers.installed_models())


def _picture(request: Request) -> UploadedFile[bytes]:
    """Reads the upload with our own parser: REST framework's takes several times as long."""
    if request.content_type and not parser.is_form(request._request):
        raise images.not_a_form(request._request)
    return images.only_file(request._request)


def get_prediction(prediction_id: UUID) -> Prediction:
    try:
        return Prediction.objects.get(pk=prediction_id)
    except Prediction.DoesNotExist as error:
        raise Http404 from error


def failure(prediction: Prediction) -> RequestRejected:
    """Returns the error for a prediction that settled without an answer during the wait."""
    if prediction.is_our_failure:
        return RequestRejected(prediction.error_code, prediction.error, status=500)
    if prediction.state == Prediction.State.FAILED:
        return RequestRejected(prediction.error_code, prediction.error, status=422)
    return RequestRejected(
        prediction.state, f"The prediction was {prediction.get_state_display().lower()}.", status=409
    )
