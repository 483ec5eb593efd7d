"""Sites whose label set is not ImageNet's: 4 labels, 12,000 labels, and labels of any characters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from predictions import labels
from predictions.tests.fakes import upload
from predictions.tests.label_sets import ActivateLabels, answered_by_page
from predictions.tests.pictures import picture
from worker.inference.label_search import MOST_COMPARED
from worker.inference.repository.labels import Label
from worker.inference.tests.label_examples import FOUR, ODD, many_labels

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("chosen", "best"), [(FOUR, 4), (FOUR[:2], 2), (ODD, 5), (many_labels(), 5)])
def test_answers_by_page_and_api(
    client: Client, activate_labels: ActivateLabels, work_off: Callable[[], None], chosen: tuple[Label, ...], best: int
) -> None:
    version = activate_labels(chosen)
    assert f"out of the {len(chosen):,} things it knows" in client.get("/").text
    prediction = answered_by_page(client, work_off)
    answer = client.get(f"/api/predictions/{prediction.id}").json()
    ids = {label.display_name: label.id for label in chosen}
    assert len(answer["labels"]) == best and answer["model"] == str(version)
    assert all(each["label_id"] == ids[each["label"]] for each in answer["labels"])
    assert (answer["label_id"], answer["prediction"]) == (ids[prediction.label], prediction.label)
    assert client.get(prediction.get_absolute_url()).status_code == 200
    assert client.get("/history/").status_code == 200


def test_finds_each_of_12_000_labels(client: Client, activate_labels: ActivateLabels) -> None:
    chosen = many_labels()
    activate_labels(chosen)
    found = client.get("/api/labels", {"q": "violet tortoise"}).json()["labels"]
    assert len(found) == labels.LIMIT and all("violet tortoise" in each["name"] for each in found)
    last = client.get("/api/labels", {"q": "species 11999"}).json()["labels"][0]
    assert (last["label"], last["label_id"]) == (chosen[-1].display_name, "id-11999")
    assert (last["matched"], last["description"]) == ("species 11999", "Number 11999 of the catalogue")
    typo = client.get("/api/labels", {"q": "speces 11999"}).json()["labels"]
    assert "species 11999" in {each["matched"] for each in typo}


def test_compares_a_typo_with_few_of_12_000_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of these labels differ in a digit only."""
    compared: list[str] = []
    index = labels.LabelIndex(many_labels())
    spellings = index._search._spellings
    found = spellings.with_letters_of

    def recorded(text: str) -> list[str]:
        compared[:] = found(text)
        return compared

    monkeypatch.setattr(spellings, "with_letters_of", recorded)
    for text in ("toroise", "species 1199x", "ivory heron 0002"):
        assert index.search(text)
        assert 0 < len(compared) <= MOST_COMPARED


def test_two_labels_with_one_name_are_two(
    client: Client, activate_labels: ActivateLabels, work_off: Callable[[], None]
) -> None:
    """`/predict` answers the name, as Keras does. Everything else tells them apart."""
    bird, machine = Label("n1", "crane", "crane (bird)"), Label("n2", "crane", "crane (machine)")
    activate_labels((bird, machine))
    prediction = answered_by_page(client, work_off)
    assert {label for label, _score in prediction.top} == {"crane (bird)", "crane (machine)"}
    legacy = client.post("/predict", {"file": upload(picture("JPEG"), "photo.jpg")}).json()
    assert legacy == {"success": True, "prediction": "crane", "score": round(prediction.score or 0, 4)}
    found = client.get("/api/labels", {"q": "crane", "prediction": str(prediction.id)}).json()["labels"]
    assert {each["label_id"] for each in found} == {"n1", "n2"}
