"""The API's representation of a prediction."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from predictions import labels
from predictions.models import SCORE_DIGITS, Prediction

_LABEL_ID = "never changes, also when a later model version renames the label; `null` if it is not known: the model "
_LABEL_ID += "version is no longer installed, or an earlier release stored a name that two labels share"


class LabelSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment] # the metaclass collects it: `Field.label` stays
    label_id = serializers.CharField(allow_null=True, help_text=_LABEL_ID)
    score = serializers.FloatField(min_value=0, max_value=1)


class TimingsSerializer(serializers.Serializer[Any]):
    """Milliseconds; `null` for steps that have not happened."""

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


class PredictionSerializer(serializers.Serializer[Prediction]):
    """A prediction. `prediction`, `label_id` and `score` are `null` until it is done, and stay so if it never is."""

    # The fields serve the schema only. `to_representation` writes the values itself, because copying ten field objects
    # for every request costs more than the queue does. A test keeps the two in agreement.
    success = serializers.BooleanField()
    prediction = serializers.CharField(allow_null=True)
    label_id = serializers.CharField(allow_null=True, help_text=_LABEL_ID)
    score = serializers.FloatField(allow_null=True, min_value=0, max_value=1)
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Prediction.State.choices)
    labels = LabelSerializer(many=True)
    model = serializers.CharField(allow_null=True)
    timings = TimingsSerializer()
    error = PredictionErrorSerializer(allow_null=True)
    links = LinksSerializer()

    def to_representation(self, prediction: Prediction) -> dict[str, Any]:
        error = {"code": prediction.error_code, "detail": prediction.error} if prediction.error_code else None
        known = labels.of_version(prediction.model_version)
        return {
            "success": prediction.is_done,
            "prediction": prediction.label or None,
            "label_id": known.id_of(prediction.label),
            "score": None if prediction.score is None else round(prediction.score, SCORE_DIGITS),
            "id": str(prediction.id),
            "state": prediction.state,
            "labels": [
                {"label": label, "label_id": known.id_of(label), "score": round(score, SCORE_DIGITS)}
                for label, score in prediction.top
            ],
            "model": prediction.model_version or None,
            "timings": {
                "queue_ms": prediction.queue_ms,
                "decode_ms": prediction.decode_ms,
                "compute_ms": prediction.compute_ms,
                "total_ms": prediction.total_ms,
            },
            "error": error,
            "links": self._links(prediction),
        }

    def _links(self, prediction: Prediction) -> dict[str, str]:
        site = self.context["request"].build_absolute_uri("/").removesuffix("/")
        page = prediction.get_absolute_url()
        return {
            "self": site + reverse("api:prediction", args=[prediction.id]),
            "page": site + page,
            "picture": f"{site}{page}picture",
            "feedback": site + reverse("api:feedback"),
        }
