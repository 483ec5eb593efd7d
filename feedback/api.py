"""`POST /api/feedback`."""

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
from feedback.expected import MAX_LENGTH as EXPECTED_MAX_LENGTH
from feedback.forms import COMMENT_MAX_LENGTH
from feedback.models import Feedback
from feedback.services import feedback_give
from feedback.text import normalize_text
from predictions.admission import rate_limits
from predictions.api.problems import CONTENT_TYPE
from predictions.api.views import problem_schema
from predictions.models import Prediction
from predictions.uploads import bodies

EXPECTED_FIELDS = ("expected", "expected_label", "expected_label_id", "expected_words")
_ONE_OF = EXPECTED_FIELDS[:3]  # each names the whole label


class FeedbackSerializer(serializers.Serializer[Any]):
    """One statement about one prediction."""

    prediction = serializers.UUIDField(source="prediction_id", help_text="the prediction's id")
    verdict = serializers.ChoiceField(
        choices=Feedback.Verdict.choices,
        # REST framework's message repeats the value, which no response can encode if it is half of a surrogate pair.
        error_messages={"invalid_choice": f"Please send one of: {', '.join(Feedback.Verdict.values)}."},
    )
    expected = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=EXPECTED_MAX_LENGTH,
        default="",
        write_only=True,
        help_text="with the verdict `wrong` only: what the picture shows. A text that names one of the model's labels "
        "is stored as `expected_label`, any other as `expected_words`",
    )
    expected_label = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=EXPECTED_MAX_LENGTH,
        default="",
        help_text="with the verdict `wrong` only: one of the labels of the model version that answered, or a synonym "
        "that only one of them has; see `GET /api/labels`",
    )
    expected_label_id = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=EXPECTED_MAX_LENGTH,
        default="",
        help_text="in place of `expected_label`: the label's id, which never changes. Answers have both. It is empty "
        "in an answer without a label, or if the model version is no longer installed",
    )
    expected_words = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=EXPECTED_MAX_LENGTH,
        default="",
        help_text="with the verdict `wrong` only: what the picture shows, if no label fits",
    )
    comment = serializers.CharField(required=False, allow_blank=True, max_length=COMMENT_MAX_LENGTH, default="")
    author = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=100,
        default="",
        write_only=True,
        help_text="any name for the person who gives the feedback: their second statement about the same prediction "
        "replaces the first. Without it, the client's address is the author",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        texts = {name: normalize_text(attrs[name]) for name in (*EXPECTED_FIELDS, "comment")}
        given = [name for name in _ONE_OF if texts[name]]
        if len(given) > 1:
            others = " or ".join(name for name in _ONE_OF if name != given[0])
            raise serializers.ValidationError({given[0]: f"Send either this field or {others}."})
        return attrs | texts


class FlatJSONParser(JSONParser):
    """Rejects JSON that is nested too deeply for Python as malformed, instead of failing with status 500."""

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
            (400, CONTENT_TYPE): problem_schema(
                "A field is missing or not valid (`invalid`), the expected label is unknown (`unknown-label`) or is "
                "the answer itself (`label-is-the-answer`), an expected label or words came with another verdict than "
                "`wrong` (`label-without-wrong`), or the words are too long together (`words-too-long`)."
            ),
            (404, CONTENT_TYPE): problem_schema("There is no such prediction."),
            (409, CONTENT_TYPE): problem_schema(
                "The prediction has no answer (`no-answer`), or this would replace an earlier statement of the author "
                "although a reviewer has already decided (`decided`)."
            ),
            (408, CONTENT_TYPE): problem_schema("The body took too long to arrive."),
            (410, CONTENT_TYPE): problem_schema("The picture was deleted (`deleted`)."),
            (413, CONTENT_TYPE): problem_schema("The request is too large."),
            (415, CONTENT_TYPE): problem_schema("The body is neither JSON nor a form, or it is compressed."),
            (429, CONTENT_TYPE): problem_schema("The client has sent too many requests."),
        },
    )
    def post(self, request: Request) -> Response:
        rate_limits.feedback.require(request._request)
        bodies.require_uncompressed(request._request)
        serializer = FeedbackSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        try:
            prediction = Prediction.objects.select_related("image").get(pk=values.pop("prediction_id"))
        except Prediction.DoesNotExist as error:
            raise Http404 from error
        name = values.pop("author")
        author, sender = authors.api_client(request._request, name), authors.api_sender(request._request, name)
        feedback = feedback_give(prediction=prediction, author=author, sender=sender, **values)
        return Response(FeedbackSerializer(feedback).data, status=status.HTTP_201_CREATED)
