"""What the API says of a prediction."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from predictions.models import Prediction

SCORE_DIGITS = 4


class LabelSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment] # the metaclass collects it: `Field.label` stays
    score = serializers.FloatField(min_value=0, max_value=1)


class TimingsSerializer(serializers.Serializer[Prediction]):
    """Milliseconds; `null` where that has not happened."""

    queue_ms = serializers.FloatField(allow_null=True)
    decode_ms = serializers.FloatField(allow_null=True)
    compute_ms = serializers.FloatField(allow_null=True)
    total_ms = serializers.FloatField(allow_null=True)


class LinksSerializer(serializers.Serializer[Any]):
    self = serializers.URLField()
    page = serializers.URLField()
    picture = serializers.URLField()
    feedback = serializers.URLField()


class PredictionErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class PredictionSerializer(serializers.ModelSerializer[Prediction]):
    """A prediction. `prediction` and `score` are `null` until it is done, and stay so if it never is."""

    success = serializers.BooleanField(source="is_done")
    prediction = serializers.SerializerMethodField()
    score = serializers.SerializerMethodField()
    labels = serializers.SerializerMethodField()
    model = serializers.SerializerMethodField()
    timings = TimingsSerializer(source="*")
    error = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Prediction
        fields = (
            "success",
            "prediction",
            "score",
            "id",
            "state",
            "labels",
            "model",
            "timings",
            "error",
            "links",
        )

    def get_prediction(self, prediction: Prediction) -> str | None:
        return prediction.label or None

    def get_score(self, prediction: Prediction) -> float | None:
        return None if prediction.score is None else round(prediction.score, SCORE_DIGITS)

    @extend_schema_field(LabelSerializer(many=True))
    def get_labels(self, prediction: Prediction) -> list[dict[str, object]]:
        return [{"label": label, "score": round(score, SCORE_DIGITS)} for label, score in prediction.top]

    def get_model(self, prediction: Prediction) -> str | None:
        return prediction.model_version or None

    @extend_schema_field(PredictionErrorSerializer(allow_null=True))
    def get_error(self, prediction: Prediction) -> dict[str, str] | None:
        return {"code": prediction.error_code, "detail": prediction.error} if prediction.error_code else None

    @extend_schema_field(LinksSerializer)
    def get_links(self, prediction: Prediction) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        return {
            "self": absolute(reverse("api:prediction", args=[prediction.id])),
            "page": absolute(prediction.get_absolute_url()),
            "picture": absolute(reverse("predictions:picture", args=[prediction.id])),
            "feedback": absolute(reverse("api:feedback")),
        }
