"""The API operation that searches the labels."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions import labels
from predictions.admission import rate_limits
from predictions.api.problems import CONTENT_TYPE
from predictions.api.views import problem_schema
from predictions.models import SCORE_DIGITS, Prediction
from worker.inference.label_search import LabelMatch

MAX_AGE_SECONDS = 60  # the labels change only when another model version is activated


class LabelsQuerySerializer(serializers.Serializer[Any]):
    q = serializers.CharField(
        required=False, allow_blank=True, max_length=200, default="", help_text="the text typed so far"
    )
    prediction = serializers.UUIDField(
        required=False,
        help_text="searches the labels of the model version that answered it; its best labels come first, with scores",
    )
    exclude = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=200,
        default="",
        help_text="a label to leave out, such as the prediction's own when people say what else the picture shows",
    )
    limit = serializers.IntegerField(required=False, min_value=1, max_value=100, default=labels.LIMIT)


class LabelChoiceSerializer(serializers.Serializer[Any]):
    """A label that matches."""

    label = serializers.CharField(help_text="as in predictions; unique among the labels")  # type: ignore[assignment]
    label_id = serializers.CharField(help_text="never changes, also when a later model version renames the label")
    name = serializers.CharField(help_text="the label for display")
    synonyms = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField(allow_blank=True, help_text="for people")
    reference_images = serializers.ListField(
        child=serializers.CharField(),
        help_text="the addresses, on this site, of up to three small JPEG pictures that show what the label means",
    )
    matched = serializers.CharField(allow_null=True, help_text="the synonym that matched")
    score = serializers.FloatField(
        allow_null=True, min_value=0, max_value=1, help_text="its score in the prediction, if among its best labels"
    )


class LabelChoicesSerializer(serializers.Serializer[Any]):
    query = serializers.CharField(allow_blank=True)
    exact = serializers.CharField(
        allow_null=True, help_text="the label that the query names exactly, unless it is left out"
    )
    labels = LabelChoiceSerializer(many=True)


class LabelsView(APIView):
    @extend_schema(
        operation_id="labels",
        summary="Search the labels, best match first",
        parameters=[LabelsQuerySerializer],
        responses={
            200: LabelChoicesSerializer,
            (400, CONTENT_TYPE): problem_schema("A parameter is not valid."),
            (404, CONTENT_TYPE): problem_schema("No such prediction."),
            (429, CONTENT_TYPE): problem_schema("The client has sent too many requests."),
        },
        examples=[
            OpenApiExample(
                "husky",
                value={
                    "query": "husky",
                    "exact": "Eskimo_dog",
                    "labels": [
                        {
                            "label": "Eskimo_dog",
                            "label_id": "n02109961",
                            "name": "Eskimo dog",
                            "synonyms": ["husky"],
                            "description": "",
                            "reference_images": [],
                            "matched": "husky",
                            "score": 0.6394,
                        }
                    ],
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        rate_limits.labels.require(request._request)
        query = LabelsQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        text, prediction_id = query.validated_data["q"], query.validated_data.get("prediction")
        prediction = _prediction(prediction_id) if prediction_id else Prediction()
        index = labels.index(prediction.model_version)
        scores = _scores(prediction, index)
        exclude = _excluded(index, query.validated_data["exclude"])
        matches = index.search(text, first=list(scores), exclude=exclude, limit=query.validated_data["limit"])
        exact = index.resolve(text)
        body = {
            "query": text,
            "exact": None if exact in exclude else exact,
            "labels": [_choice(match, index, scores) for match in matches],
        }
        return Response(body, headers=None if prediction_id else {"Cache-Control": f"max-age={MAX_AGE_SECONDS}"})


def _prediction(prediction_id: UUID) -> Prediction:
    """Returns the columns of a prediction that the search needs."""
    prediction = Prediction.objects.not_erased().only("top", "model_version").filter(pk=prediction_id).first()
    if prediction is None:
        raise Http404
    return prediction


def _scores(prediction: Prediction, index: labels.LabelIndex) -> dict[str, float]:
    """Returns the best labels of a prediction with their scores, best first; none before it is answered.

    Rows of earlier releases may have a word that two labels share. Both get its best score.
    """
    scores: dict[str, float] = {}
    for word, score in prediction.top:
        for label in index.meant_by(word):
            scores.setdefault(label.display_name, score)
    return scores


def _excluded(index: labels.LabelIndex, text: str) -> set[str]:
    return {text, index.resolve(text) or text} if text else set()


def _choice(match: LabelMatch, index: labels.LabelIndex, scores: dict[str, float]) -> dict[str, Any]:
    score = scores.get(match.label.display_name)
    return {
        "label": match.label.display_name,
        "label_id": match.label.id,
        "name": labels.readable(match.label.display_name),
        "synonyms": match.synonyms,
        "description": match.label.description,
        "reference_images": index.reference_images(match.label.display_name),
        "matched": match.matched or None,
        "score": None if score is None else round(score, SCORE_DIGITS),
    }
