"""`GET /api/predictions`: several predictions at once."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions import queues, submission
from predictions.api.prefer import wait_seconds
from predictions.api.problems import CONTENT_TYPE
from predictions.api.serializers import PredictionSerializer
from predictions.api.views import problem_schema
from predictions.client_address import client_network
from predictions.models import Prediction

MOST = 100  # predictions in one request
MOST_POSITIONS = 3  # to look up in the queue for one request


class PredictionsQuerySerializer(serializers.Serializer[Any]):
    id = serializers.ListField(
        child=serializers.UUIDField(),
        min_length=1,
        max_length=MOST,
        help_text="the ids of the predictions; repeat the parameter for each",
    )


class PredictionsSerializer(serializers.Serializer[Any]):
    predictions = PredictionSerializer(many=True)
    ahead = serializers.IntegerField(
        allow_null=True, help_text="how many pictures are before the first of these that is queued"
    )


class PredictionsView(APIView):
    @extend_schema(
        operation_id="predictions",
        summary="The states and the answers of several predictions",
        description="In the order of the ids. Unknown and deleted predictions are left out.",
        parameters=[
            PredictionsQuerySerializer,
            OpenApiParameter(
                "Prefer",
                str,
                OpenApiParameter.HEADER,
                description="`wait=SECONDS` answers as soon as the first of the predictions that wait has settled, or "
                "after this time (RFC 7240). Without it, the answer comes at once.",
            ),
        ],
        responses={200: PredictionsSerializer, (400, CONTENT_TYPE): problem_schema("An id is not valid.")},
    )
    def get(self, request: Request) -> Response:
        query = PredictionsQuerySerializer(data={"id": request.query_params.getlist("id")})
        query.is_valid(raise_exception=True)
        seconds = wait_seconds(request.headers.get("Prefer", "respond-async"))
        predictions = submission.predictions_wait(
            query.validated_data["id"], seconds, client=client_network(request._request)
        )
        represent = PredictionSerializer(context={"request": request}).to_representation
        return Response({"predictions": [represent(one) for one in predictions], "ahead": _ahead(predictions)})


def _ahead(predictions: list[Prediction]) -> int | None:
    """Returns how many pictures are before the first queued one, as far as the queue tells.

    A worker takes jobs off the queue a moment before it marks them as running, so the first ones may have no position.
    """
    queued = [one for one in predictions if one.state == Prediction.State.QUEUED]
    for number, prediction in enumerate(queued[:MOST_POSITIONS]):
        position = queues.position(prediction.pk)
        if position is not None:
            return max(0, position - 1 - number)
    return None
