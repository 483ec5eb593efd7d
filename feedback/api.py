"""The API's operation on feedback."""

from collections.abc import Mapping
from typing import IO, Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ParseError
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback import authors
from feedback.forms import COMMENT_MAX_LENGTH
from feedback.models import Feedback
from feedback.services import feedback_give
from predictions.api.problems import CONTENT_TYPE
from predictions.api.views import problem_schema
from predictions.models import Prediction


class FeedbackSerializer(serializers.Serializer[Any]):
    """One statement about one prediction."""

    prediction = serializers.UUIDField(help_text="the prediction's id")
    verdict = serializers.ChoiceField(choices=Feedback.Verdict.choices)
    expected_label = serializers.CharField(required=False, allow_blank=True, max_length=200, default="")
    comment = serializers.CharField(required=False, allow_blank=True, max_length=COMMENT_MAX_LENGTH, default="")


class FlatJSONParser(JSONParser):
    """JSON; what is nested deeper than Python can follow is malformed, not a defect of ours."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error


class FeedbackView(APIView):
    parser_classes = (FlatJSONParser, FormParser, MultiPartParser)

    @extend_schema(
        operation_id="feedback",
        summary="Say whether an answer is right",
        request=FeedbackSerializer,
        responses={
            201: FeedbackSerializer,
            (400, CONTENT_TYPE): problem_schema("A field is missing or not valid."),
            (404, CONTENT_TYPE): problem_schema("No such prediction."),
            (409, CONTENT_TYPE): problem_schema("The prediction has no answer."),
            (413, CONTENT_TYPE): problem_schema("Too many bytes."),
            (415, CONTENT_TYPE): problem_schema("Neither JSON nor a form."),
        },
    )
    def post(self, request: Request) -> Response:
        serializer = FeedbackSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        try:
            values["prediction"] = Prediction.objects.select_related("image").get(pk=values["prediction"])
        except Prediction.DoesNotExist as error:
            raise Http404 from error
        feedback_give(author=authors.key(request._request), **values)
        return Response(serializer.data, status=status.HTTP_201_CREATED)
