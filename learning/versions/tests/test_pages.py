"""The pages of models in the admin: all, and one."""

from __future__ import annotations

import html
import re
import shutil
from typing import Any
from urllib.parse import quote as urlquote

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from learning.models import Quantization
from learning.versions.tests.model_pages import (
    ACTIVATE,
    NEW,
    NEW_PAGE,
    OLD,
    OLD_PAGE,
    ROLLBACK,
    URL,
    form,
    page_text,
    said_after,
)
from predictions.models import PrecisionMeasurement, Prediction
from review.tests.cases import open_case, own_prediction
from review.tests.label_versions import install
from worker.inference.importing.label_files import read_labels
from worker.inference.repository import Label, Repository
from worker.inference.tests.tiny_networks import add_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two")]


# --- All versions -----------------------------------------------------------------------------------


def test_only_leads_open_the_pages(lead: Client, reviewer: Client, two: Repository) -> None:
    for address in (URL, OLD_PAGE, ACTIVATE):
        assert lead.get(address).status_code == 200, address
        assert reviewer.get(address).status_code == 403, address
        assert Client().get(address).status_code == 302, address
    for address in (ACTIVATE, ROLLBACK):
        assert reviewer.post(address, form()).status_code == 403, address
    assert two.active_name() == OLD
    assert URL in page_text(lead, "/admin/") and URL not in page_text(reviewer, "/admin/")


def test_list_shows_each_version(lead: Client, two: Repository) -> None:
    for compute_ms in (1.0, 4.0, 5.0):
        own_prediction(model_version=OLD, compute_ms=compute_ms)
    page = page_text(lead)
    assert f'<a href="{OLD_PAGE}">own@1</a> <span class="models-mark">active</span>' in page
    row = page.split(OLD_PAGE)[1].split("</tr>")[0]
    assert re.findall(r"<td[^>]*>(.*?)</td>", row)[:6] == ["2", "8 x 8", "f32", "23 bytes", "4.0 ms", "3"]
    assert ACTIVATE in page and f"{URL}own_401/activate/" not in page
    assert "switched to own@1" in page


def test_list_shows_damaged_and_removed_versions(lead: Client, two: Repository) -> None:
    own_prediction(model_version="gone@7")
    two.get(NEW).file("bin").unlink()
    page = page_text(lead)
    assert "own@2: model.bin is missing" in page and NEW_PAGE not in page
    assert "gone@7: 1 prediction, 0 cases" in page


def test_list_without_versions_says_how_to_install_one(lead: Client, two: Repository) -> None:
    shutil.rmtree(two.root)
    assert "No model is installed." in page_text(lead)


def test_number_of_queries_grows_only_with_versions_that_have_answered(lead: Client, two: Repository) -> None:
    counts = []
    for _ in range(2):
        for _ in range(5):
            own_prediction(model_version=OLD)
            install(two, "own", "1\tcup", "2\tespresso")
        with CaptureQueriesContext(connection) as queries:
            page_text(lead)
        counts.append(len(queries))
    assert counts[1] <= counts[0] <= 8


def test_predictions_are_counted_with_the_index(two: Repository) -> None:
    """With a million rows, a count without it takes half a second."""
    for statement in (
        Prediction.objects.answered_by(OLD),
        Prediction.objects.answered_by(OLD).order_by("-created_at")[:5].values("pk"),
    ):
        assert "prediction_by_version" in statement.explain() or connection.vendor != "sqlite"


# --- One version -----------------------------------------------------------------------------------


def test_page_shows_what_is_known(lead: Client, two: Repository) -> None:
    page = page_text(lead, NEW_PAGE)
    for text in ("espresso, unicorn", "8 x 8 pixels, RGB", two.get(NEW).manifest.files["bin"].sha256, ACTIVATE):
        assert text in page, text
    assert "/activate/" not in page_text(lead, OLD_PAGE)


def test_page_links_to_what_belongs_to_the_version(lead: Client, two: Repository) -> None:
    add_version(two, "small", base=OLD)
    open_case(model_version="small@1")
    page = page_text(lead, f"{URL}small_401/change/")
    assert f'<dt>Made from</dt><dd><a href="{OLD_PAGE}">own@1</a></dd>' in page
    for title in ("Predictions answered", "Cases about its answers"):
        found = re.search(f'<dt>{title}</dt><dd><a href="([^"]*)">1</a>', page)
        assert found, title
        assert "own@1" not in found[1] and "1 " in page_text(lead, html.unescape(found[1])), title


def test_base_that_is_not_installed_is_no_link(lead: Client, two: Repository) -> None:
    add_version(two, "small", base="gone@1")
    assert "<dt>Made from</dt><dd>gone@1</dd>" in page_text(lead, f"{URL}small_401/change/")


def test_all_labels_can_be_downloaded_and_imported(lead: Client, reviewer: Client, two: Repository) -> None:
    some = [
        Label(str(number), "name", f"name {number}", ("one", f"other {number}"), 'A, "b"; c.') for number in range(50)
    ]
    add_version(two, "many", [*some, Label("x", "=1+1", "=1+1")])
    address = f"{URL}many_401/labels/"
    page = page_text(lead, f"{URL}many_401/change/")
    assert f'<a href="{address}">' in page and "name 20" not in page
    response = lead.get(address)
    assert response["Content-Disposition"] == 'attachment; filename="many@1-labels.csv"'
    file = two.root / "labels.csv"
    file.write_bytes(response.content)
    labels = read_labels(file)
    assert list(labels[:50]) == some and labels[50].name == "=1+1"
    assert reviewer.get(address).status_code == 403


def test_labels_that_cannot_be_read_are_not_offered(lead: Client, two: Repository) -> None:
    two.get(NEW).file("labels").unlink()
    assert "own_402/labels/" not in page_text(lead, NEW_PAGE)
    assert "labels.tsv is missing" in page_text(lead, f"{URL}own_402/labels/")


def test_page_of_an_int8_version_leads_to_its_times(lead: Client, two: Repository) -> None:
    add_version(two, "small-int8", precision="int8")
    address = f"{URL}small-int8_401/change/"
    assert "<p>Workers do not measure int8 versions.</p>" in page_text(lead, address)
    Quantization.objects.create(
        **{"model_version": "small-int8@1", "base": OLD, "processor": "A processor", "calibrated_on": "photos"},
        **{"compared": 1, "labelled": 0, "flipped": 0, "precisions": []},
    )
    assert "Workers do not measure int8 versions. The report has its times:" in page_text(lead, address)


def test_labels_that_are_written_from_right_to_left_are_isolated(lead: Client, two: Repository) -> None:
    install(two, "own", "1\tقهوة", "2\ta\u200fb", "3\tblack_tea")
    assert "3: \u2068قهوة\u2069, \u2068a\u200fb\u2069, black tea" in page_text(lead, f"{URL}own_403/change/")


def test_pages_of_an_int8_version_and_its_base_link_to_the_report(lead: Client) -> None:
    report = Quantization.objects.create(
        **{"model_version": NEW, "base": OLD, "processor": "A processor", "calibrated_on": "photos"},
        **{"compared": 1, "labelled": 0, "flipped": 0, "precisions": []},
    )
    for address in (OLD_PAGE, NEW_PAGE):
        page = page_text(lead, address)
        assert f'<a href="{report.get_absolute_url()}">How own@2 compares with own@1</a>' in page


def test_page_links_to_reports_only_for_those_who_may_open_them(lead: Client, django_user_model: Any) -> None:
    Quantization.objects.create(
        **{"model_version": NEW, "base": OLD, "processor": "A processor", "calibrated_on": "photos"},
        **{"compared": 1, "labelled": 0, "flipped": 0, "precisions": []},
    )
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_installedmodel"))
    client = Client()
    client.force_login(viewer)
    assert "espresso, unicorn" in page_text(client, NEW_PAGE)
    assert "compares with" not in page_text(client, NEW_PAGE) and "compares with" in page_text(lead, NEW_PAGE)


def test_page_shows_the_measurements_in_a_table(lead: Client, two: Repository) -> None:
    PrecisionMeasurement.objects.create(
        **{"processor": "A <processor>", "features": "avx2", "openvino": "1.2", "model_version": NEW},
        weights_sha256=two.get(NEW).manifest.files["bin"].sha256,
        **{"images": 0, "flips": 0, "largest_gap": 0, "chosen": "f32", "objection": "could not be measured"},
    )
    row = page_text(lead, NEW_PAGE).split("<tbody>")[1].split("</tbody>")[0]
    date = f"{timezone.now():%Y-%m-%d %H:%M} UTC"
    assert re.findall(r"<td[^>]*>(.*?)</td>", row) == [
        *("f32", "–", "–", "–", "A &lt;processor&gt;", "avx2", "1.2", date, "bf16 could not be measured"),
    ]


def test_page_of_a_missing_version_leads_to_the_list(lead: Client) -> None:
    assert "&#x27;own@9&#x27; is not installed" in page_text(lead, f"{URL}own_409/change/")


@pytest.mark.parametrize(
    "name", ["x" * 256, "x" * 5000, "x" * 256 + "@1", "..", "..@1", "\0", ".", "own@1\n", "\u202e"]
)
def test_pages_of_names_that_no_version_can_have_lead_to_the_list(lead: Client, two: Repository, name: str) -> None:
    for page in ("change", "activate"):
        address = f"{URL}{urlquote(quote(name), safe='')}/{page}/"
        said = said_after(lead.get(address, follow=True))
        assert "is not installed; installed: own@1, own@2" in said and len(said) < 500 and "\u202e" not in said


def test_page_of_a_damaged_version_says_so(lead: Client, two: Repository) -> None:
    two.get(NEW).file("labels").unlink()
    page = page_text(lead, NEW_PAGE)
    assert "This model cannot be used: labels.tsv is missing." in page and "/activate/" not in page


def test_version_that_is_deleted_meanwhile_does_not_break_a_page(
    lead: Client, two: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Repository.find

    def find_and_delete(self: Repository, reference: str) -> Any:
        version = find(self, reference)
        shutil.rmtree(version.path)
        return version

    monkeypatch.setattr(Repository, "find", find_and_delete)
    assert "This model cannot be used" in page_text(lead, NEW_PAGE)


def test_texts_of_a_manifest_are_escaped(lead: Client, two: Repository) -> None:
    install(two, "own", "1\t<script>alert(1)</script>", "2\tcup")
    page = page_text(lead, f"{URL}own_403/change/")
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
