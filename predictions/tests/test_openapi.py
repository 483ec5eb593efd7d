"""The API conforms to its schema, and `docs/openapi.yaml` holds that schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from predictions.models import Prediction
from predictions.tests import pictures
from predictions.tests.fakes import FakeClassifier, stored_prediction

# The files to send: mostly pictures, because hypothesis alone would never generate one.
FILES = st.sampled_from([pictures.picture("JPEG"), pictures.picture("PNG"), pictures.animation(), b""]) | st.binary()
schemathesis.openapi.format("binary", FILES)

OPERATIONS = [
    ("/api/predict", "POST"),
    ("/api/predictions", "GET"),
    ("/api/predictions/{prediction_id}", "GET"),
    ("/api/predictions/{prediction_id}", "DELETE"),
    ("/api/predictions/{prediction_id}/cancel", "POST"),
    ("/api/labels", "GET"),
    ("/api/models", "GET"),
    ("/api/feedback", "POST"),
]


@pytest.fixture
def api(worker: FakeClassifier) -> Any:
    return schemathesis.openapi.from_wsgi("/api/schema?format=json", get_wsgi_application())


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_responses_conform_to_the_schema(api: Any, path: str, method: str) -> None:
    predictions = [stored_prediction(state=state) for state in Prediction.State.values]
    predictions.append(stored_prediction(source=Prediction.Source.API))  # the only one that may be deleted
    known = [str(prediction.id) for prediction in predictions]

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(api[path][method].as_strategy(), st.none() | st.sampled_from(known))
    def check(case: schemathesis.Case[Any], prediction_id: str | None) -> None:
        """Half of the requests name an existing prediction."""
        if prediction_id and case.path_parameters:
            case.path_parameters["prediction_id"] = prediction_id
        if prediction_id and isinstance(case.body, dict) and "prediction" in case.body:
            case.body["prediction"] = prediction_id
        # A schema cannot describe which bytes are a picture, nor which predictions exist.
        # Schemathesis asks for compressed responses, and does not decompress those of a WSGI application.
        case.call_and_validate(headers={"Accept-Encoding": "identity"}, excluded_checks=[positive_data_acceptance])

    check()


def test_every_operation_is_tested(api: Any) -> None:
    found = {(result.ok().path, result.ok().method.upper()) for result in api.get_all_operations()}
    assert found == set(OPERATIONS)


def test_the_schema_file_is_up_to_date(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml"))
    kept = Path(__file__).parents[2] / "docs" / "openapi.yaml"
    assert (tmp_path / "openapi.yaml").read_text() == kept.read_text(), "run `make schema`"
