"""The pages of models in the admin: all, one, activating one, going back."""

from __future__ import annotations

import html
import json
import re
import shutil
from typing import Any
from urllib.parse import quote as urlquote

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from learning.models import Quantization
from learning.versions import views
from predictions.models import PrecisionMeasurement, Prediction
from review.decisions import DecisionRequest, case_decide
from review.tests.cases import open_case, own_prediction, reviewer_named
from review.tests.label_versions import install, mapped
from worker.inference.importing.label_files import read_labels
from worker.inference.repository import Label, Repository, activations
from worker.inference.tests.tiny_networks import add_version

pytestmark = pytest.mark.django_db
URL = "/admin/learning/installedmodel/"
OLD, NEW = "own@1", "own@2"
OLD_PAGE, NEW_PAGE = f"{URL}own_401/change/", f"{URL}own_402/change/"
ACTIVATE, ROLLBACK = f"{URL}own_402/activate/", f"{URL}rollback/"


@pytest.fixture(autouse=True)
def two(repository: Repository, django_user_model: Any) -> Repository:
    """`own@1`, which is active, and `own@2`, which has the label `unicorn` instead of `cup`."""
    install(repository, "own", "1\tcup", "2\tespresso")
    install(repository, "own", "2\tespresso", "3\tunicorn")
    repository.activate(OLD)
    return repository


def _page(client: Client, address: str = URL, status: int = 200) -> str:
    response = client.get(address, follow=True)
    assert response.status_code == status
    return " ".join(response.text.split())


def _payload(**changes: str) -> dict[str, str]:
    return {"instead_of": OLD, "to": NEW} | changes


def _said(response: Any) -> str:
    """What the page after a POST says."""
    assert response.redirect_chain == [(URL, 302)], response.redirect_chain
    return " ".join(re.sub("<[^>]*>", "", response.text.split('class="messagelist"')[1].split("</ul>")[0]).split())


# --- All versions -----------------------------------------------------------------------------------


def test_only_leads_open_the_pages(lead: Client, reviewer: Client, two: Repository) -> None:
    for address in (URL, OLD_PAGE, ACTIVATE):
        assert lead.get(address).status_code == 200, address
        assert reviewer.get(address).status_code == 403, address
        assert Client().get(address).status_code == 302, address
    for address in (ACTIVATE, ROLLBACK):
        assert reviewer.post(address, _payload()).status_code == 403, address
    assert two.active_name() == OLD
    assert URL in _page(lead, "/admin/") and URL not in _page(reviewer, "/admin/")


def test_list_shows_each_version(lead: Client, two: Repository) -> None:
    for compute_ms in (1.0, 4.0, 5.0):
        own_prediction(model_version=OLD, compute_ms=compute_ms)
    page = _page(lead)
    assert f'<a href="{OLD_PAGE}">own@1</a> <span class="models-mark">active</span>' in page
    row = page.split(OLD_PAGE)[1].split("</tr>")[0]
    assert re.findall(r"<td[^>]*>(.*?)</td>", row)[:6] == ["2", "8 x 8", "f32", "23 bytes", "4.0 ms", "3"]
    assert ACTIVATE in page and f"{URL}own_401/activate/" not in page
    assert "switched to own@1" in page


def test_list_shows_damaged_and_removed_versions(lead: Client, two: Repository) -> None:
    own_prediction(model_version="gone@7")
    two.get(NEW).file("bin").unlink()
    page = _page(lead)
    assert "own@2: model.bin is missing" in page and NEW_PAGE not in page
    assert "gone@7: 1 prediction, 0 cases" in page


def test_list_without_versions_says_how_to_install_one(lead: Client, two: Repository) -> None:
    shutil.rmtree(two.root)
    assert "No model is installed." in _page(lead)


def test_number_of_queries_grows_only_with_versions_that_have_answered(lead: Client, two: Repository) -> None:
    counts = []
    for _ in range(2):
        for _ in range(5):
            own_prediction(model_version=OLD)
            install(two, "own", "1\tcup", "2\tespresso")
        with CaptureQueriesContext(connection) as queries:
            _page(lead)
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
    page = _page(lead, NEW_PAGE)
    for text in ("espresso, unicorn", "8 x 8 pixels, RGB", two.get(NEW).manifest.files["bin"].sha256, ACTIVATE):
        assert text in page, text
    assert "/activate/" not in _page(lead, OLD_PAGE)


def test_page_links_to_what_belongs_to_the_version(lead: Client, two: Repository) -> None:
    add_version(two, "small", base=OLD)
    open_case(model_version="small@1")
    page = _page(lead, f"{URL}small_401/change/")
    assert f'<dt>Made from</dt><dd><a href="{OLD_PAGE}">own@1</a></dd>' in page
    for title in ("Predictions answered", "Cases about its answers"):
        found = re.search(f'<dt>{title}</dt><dd><a href="([^"]*)">1</a>', page)
        assert found, title
        assert "own@1" not in found[1] and "1 " in _page(lead, html.unescape(found[1])), title


def test_base_that_is_not_installed_is_no_link(lead: Client, two: Repository) -> None:
    add_version(two, "small", base="gone@1")
    assert "<dt>Made from</dt><dd>gone@1</dd>" in _page(lead, f"{URL}small_401/change/")


def test_all_labels_can_be_downloaded_and_imported(lead: Client, reviewer: Client, two: Repository) -> None:
    some = [
        Label(str(number), "name", f"name {number}", ("one", f"other {number}"), 'A, "b"; c.') for number in range(50)
    ]
    add_version(two, "many", [*some, Label("x", "=1+1", "=1+1")])
    address = f"{URL}many_401/labels/"
    page = _page(lead, f"{URL}many_401/change/")
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
    assert "own_402/labels/" not in _page(lead, NEW_PAGE)
    assert "labels.tsv is missing" in _page(lead, f"{URL}own_402/labels/")


def test_page_of_an_int8_version_leads_to_its_times(lead: Client, two: Repository) -> None:
    add_version(two, "small-int8", precision="int8")
    address = f"{URL}small-int8_401/change/"
    assert "<p>Workers do not measure int8 versions.</p>" in _page(lead, address)
    Quantization.objects.create(
        **{"model_version": "small-int8@1", "base": OLD, "processor": "A processor", "calibrated_on": "photos"},
        **{"compared": 1, "labelled": 0, "flipped": 0, "precisions": []},
    )
    assert "Workers do not measure int8 versions. The report has its times:" in _page(lead, address)


def test_labels_that_are_written_from_right_to_left_are_isolated(lead: Client, two: Repository) -> None:
    install(two, "own", "1\tقهوة", "2\ta\u200fb", "3\tblack_tea")
    assert "3: \u2068قهوة\u2069, \u2068a\u200fb\u2069, black tea" in _page(lead, f"{URL}own_403/change/")


def test_pages_of_an_int8_version_and_its_base_link_to_the_report(lead: Client) -> None:
    report = Quantization.objects.create(
        **{"model_version": NEW, "base": OLD, "processor": "A processor", "calibrated_on": "photos"},
        **{"compared": 1, "labelled": 0, "flipped": 0, "precisions": []},
    )
    for address in (OLD_PAGE, NEW_PAGE):
        page = _page(lead, address)
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
    assert "espresso, unicorn" in _page(client, NEW_PAGE)
    assert "compares with" not in _page(client, NEW_PAGE) and "compares with" in _page(lead, NEW_PAGE)


def test_page_shows_the_measurements_in_a_table(lead: Client, two: Repository) -> None:
    PrecisionMeasurement.objects.create(
        **{"processor": "A <processor>", "features": "avx2", "openvino": "1.2", "model_version": NEW},
        weights_sha256=two.get(NEW).manifest.files["bin"].sha256,
        **{"images": 0, "flips": 0, "largest_gap": 0, "chosen": "f32", "objection": "could not be measured"},
    )
    row = _page(lead, NEW_PAGE).split("<tbody>")[1].split("</tbody>")[0]
    date = f"{timezone.now():%Y-%m-%d %H:%M} UTC"
    assert re.findall(r"<td[^>]*>(.*?)</td>", row) == [
        *("f32", "–", "–", "–", "A &lt;processor&gt;", "avx2", "1.2", date, "bf16 could not be measured"),
    ]


def test_page_of_a_missing_version_leads_to_the_list(lead: Client) -> None:
    assert "&#x27;own@9&#x27; is not installed" in _page(lead, f"{URL}own_409/change/")


@pytest.mark.parametrize(
    "name", ["x" * 256, "x" * 5000, "x" * 256 + "@1", "..", "..@1", "\0", ".", "own@1\n", "\u202e"]
)
def test_pages_of_names_that_no_version_can_have_lead_to_the_list(lead: Client, two: Repository, name: str) -> None:
    for page in ("change", "activate"):
        address = f"{URL}{urlquote(quote(name), safe='')}/{page}/"
        said = _said(lead.get(address, follow=True))
        assert "is not installed; installed: own@1, own@2" in said and len(said) < 500 and "\u202e" not in said


def test_page_of_a_damaged_version_says_so(lead: Client, two: Repository) -> None:
    two.get(NEW).file("labels").unlink()
    page = _page(lead, NEW_PAGE)
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
    assert "This model cannot be used" in _page(lead, NEW_PAGE)


def test_texts_of_a_manifest_are_escaped(lead: Client, two: Repository) -> None:
    install(two, "own", "1\t<script>alert(1)</script>", "2\tcup")
    page = _page(lead, f"{URL}own_403/change/")
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page


# --- Activating -------------------------------------------------------------------------------------


def test_confirmation_says_what_changes(lead: Client, two: Repository) -> None:
    for _ in range(2):
        open_case(expected="cup", model_version=OLD)
    page = _page(lead, ACTIVATE)
    assert "1 disappears, 1 is new; 2 open cases expect one that disappears" in page
    assert "<li>cup: no similar label, 2 open cases</li>" in page and "<li>unicorn</li>" in page
    assert "<code>manage.py labels diff own@1 own@2 --csv FILE</code>" in page
    assert two.active_name() == OLD


def test_confirmation_says_what_a_mapping_makes_of_labels(lead: Client, two: Repository) -> None:
    old = two.activate(str(install(two, "old", "1\tsquare", "2\tcircle", "3\tcross", "4\tgrey_cup")))
    new = install(two, "new", "5\tbox", "6\tdisc", "7\tring", "8\tmug", "9\tunicorn")
    for label in ("square", "circle", "circle", "cross"):
        _decided("corrected", label)
    _decided("no-label", "Unicorn")
    mapped(old, new, "rename square box", "split circle disc ring", "drop cross", "rename grey_cup mug")
    page = _page(lead, f"{URL}new_401/activate/")
    for text in (
        "2 labels are renamed or merged, 2 disappear, 3 are new;",
        "<li>The label “circle” was split into “disc” and “ring”. 2 decided cases</li>",
        "<li>circle: split into disc and ring, 2 decided cases</li>",
        "<li>cross: dropped, 1 decided case</li>",
        "<li>square: becomes box, 1 decided case</li>",
        "<li>grey cup: becomes mug</li>",
        "<li>Unicorn: unicorn, 1 case</li>",
    ):
        assert text in page, text
    assert "labels diff" not in page


def _decided(verdict: str, label: str) -> None:
    case = open_case(statements=0, label="square", model_version="old@1", top=[["square", 0.9]])
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest(verdict, label))


def test_confirmation_shows_some_of_many_labels(lead: Client, two: Repository) -> None:
    install(two, "many", *(f"n{number}\tlabel {number}" for number in range(views.SHOWN_LABELS + 30)))
    page = _page(lead, f"{URL}many_401/activate/")
    assert page.count("<li>label ") == views.SHOWN_LABELS and "And 30 more." in page


def test_lead_activates_a_version(lead: Client, two: Repository) -> None:
    assert "The active model is own@2 now. Workers load it" in _said(lead.post(ACTIVATE, _payload(), follow=True))
    assert two.active_name() == NEW
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (NEW, "Switched from own@1 to own@2.")
    assert entry.get_admin_url() == NEW_PAGE
    assert activations.history(two.root)[-1].by == "lead, in the admin"
    assert "Switched" not in _page(lead, "/admin/") and NEW_PAGE in _page(lead, "/admin/")


def test_second_press_of_the_button_changes_nothing(lead: Client, two: Repository) -> None:
    lead.post(ACTIVATE, _payload())
    assert "The active model is own@2 already." in _said(lead.post(ACTIVATE, _payload(), follow=True))
    lead.post(ROLLBACK, {"instead_of": NEW, "to": OLD})
    assert "The active model is own@1 already." in _said(
        lead.post(ROLLBACK, {"instead_of": NEW, "to": OLD}, follow=True)
    )
    assert two.active_name() == OLD
    assert LogEntry.objects.count() == 2 and len(activations.history(two.root)) == 3


@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
def test_change_by_another_lead_is_told(lead: Client, two: Repository, address: str) -> None:
    install(two, "other", "1\tcup", "2\tespresso")
    two.activate("other@1")
    said = _said(lead.post(address, _payload(), follow=True))
    assert "Nothing was changed: the active version is other@1 now" in said and "Please look again." in said
    assert two.active_name() == "other@1" and not LogEntry.objects.exists()


@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
@pytest.mark.parametrize("field", ["to", "instead_of"])
def test_changed_form_is_not_repeated_in_full(lead: Client, two: Repository, address: str, field: str) -> None:
    two.activate(NEW)
    two.activate(OLD)
    said = _said(lead.post(address, _payload() | {field: "\u202e" + "y" * 100_000}, follow=True))
    assert len(said) < 500 and "\u202e" not in said
    if (address, field) != (ACTIVATE, "to"):  # the address names the version
        assert "Nothing was changed: the active version is own@1 now" in said
        assert two.active_name() == OLD


@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
def test_model_of_the_environment_cannot_be_replaced(
    lead: Client, two: Repository, settings: Settings, address: str
) -> None:
    two.activate(NEW)
    settings.MODEL = NEW
    assert "MODEL=own@2" in _page(lead) and "/activate/" not in _page(lead) and ROLLBACK not in _page(lead)
    for response in (lead.get(address, follow=True), lead.post(address, _payload(), follow=True)):
        assert "MODEL=own@2 is set in the environment" in _said(response)
    assert two.active_name() == NEW


@pytest.mark.parametrize("is_missing", [True, False])
def test_version_that_cannot_be_used_is_not_activated(lead: Client, two: Repository, is_missing: bool) -> None:
    version = two.get(NEW)
    if is_missing:
        two.remove(NEW)
    else:
        version.file("bin").write_bytes(b"nib")
    for response in (lead.get(ACTIVATE, follow=True), lead.post(ACTIVATE, _payload(), follow=True)):
        assert ("is not installed" if is_missing else "model.bin is damaged") in _said(response)
    assert two.active_name() == OLD and not LogEntry.objects.exists()


def test_version_that_the_engine_cannot_load_is_not_activated(
    lead: Client, two: Repository, settings: Settings
) -> None:
    two.activate(NEW)
    settings.ENGINE = "tensorflow"
    for address, version in ((f"{URL}own_401/activate/", OLD), (ROLLBACK, OLD)):
        payload = {"instead_of": NEW, "to": version}
        for response in (lead.get(address, follow=True), lead.post(address, payload, follow=True)):
            said = _said(response)
            assert "own@1 cannot become active, because ENGINE=tensorflow cannot load it" in said
    assert two.active_name() == NEW and not LogEntry.objects.exists()


def test_confirmation_warns_of_processors_that_refuse_int8(lead: Client, two: Repository) -> None:
    add_version(two, "small-int8", precision="int8")
    warning = "Workers on processors without VNNI or AMX refuse small-int8@1"
    assert warning in _page(lead, f"{URL}small-int8_401/activate/")
    assert "VNNI" not in _page(lead, ACTIVATE)


def test_address_without_a_number_leads_to_the_version_that_it_means(lead: Client, two: Repository) -> None:
    """Otherwise a version that is installed after the question was shown could become active."""
    for response in (lead.get(f"{URL}own/activate/"), lead.post(f"{URL}own/activate/", _payload())):
        assert (response.status_code, response["Location"]) == (302, ACTIVATE)
    assert two.active_name() == OLD


def test_incomplete_form_changes_nothing(lead: Client, two: Repository) -> None:
    assert "the form was incomplete." in _said(lead.post(ACTIVATE, {}, follow=True))
    assert two.active_name() == OLD


def test_form_needs_its_csrf_token(two: Repository, lead: Client) -> None:
    lead.handler.enforce_csrf_checks = True
    assert lead.post(ACTIVATE, _payload()).status_code == 403
    assert two.active_name() == OLD


def test_version_with_unreadable_labels_can_be_replaced(lead: Client, two: Repository) -> None:
    two.get(OLD).file("labels").unlink()
    assert "The labels of own@1 cannot be read" in _page(lead, ACTIVATE)
    lead.post(ACTIVATE, _payload())
    assert two.active_name() == NEW


# --- Damaged files ----------------------------------------------------------------------------------

DAMAGED = [b"\xff\xfe", b"\0", b"own", b"../own@1", b"own@1\nown@2", b"x" * 300 + b"@1", b"y" * 1_000_000]


def _damage(two: Repository, content: bytes | None) -> None:
    """Replaces the file that names the active version, by a folder if there is no content."""
    file = two.root / "active"
    file.unlink()
    if content is None:
        file.mkdir()
        (file / "kept").write_text("kept")
    else:
        file.write_bytes(content)


@pytest.mark.parametrize("content", [*DAMAGED, b"", b"gone@7\n", None])
def test_list_says_that_the_name_of_the_active_version_is_damaged(
    lead: Client, two: Repository, content: bytes | None
) -> None:
    _damage(two, content)
    page = _page(lead)
    problem = {b"": "No model is active.", b"gone@7\n": "names a version that is not installed: gone@7."}
    assert problem.get(content or b"", "No usable model is active.") in page or content is None
    assert content is not None or "cannot be read (Is a directory); activate a model." in page
    assert ACTIVATE in page and "models-mark" not in page


@pytest.mark.parametrize("content", [*DAMAGED, b"", b"gone@7\n", None])
@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
def test_activation_repairs_a_damaged_name(lead: Client, two: Repository, content: bytes | None, address: str) -> None:
    two.activate(NEW)
    _damage(two, content)
    page = _page(lead, address)
    assert 'name="to" value="own@2"' in page
    before = re.findall(r'name="instead_of" value="(.*?)"', page)[0]
    said = _said(lead.post(address, {"instead_of": before, "to": NEW}, follow=True))
    assert "The active model is own@2 now." in said
    assert two.active_name() == NEW and "No usable model" not in _page(lead)
    assert content is not None or [file.read_text() for file in two.root.glob(".active-*/kept")] == ["kept"]


def _line(**changes: Any) -> str:
    return json.dumps({"at": "2026-01-01T00:00:00+00:00", "version": NEW, "before": OLD, "by": "somebody"} | changes)


@pytest.mark.parametrize(
    "line",
    [
        *(_line(version=name) for name in ("x" * 300 + "@1", "../own@1", "\0", "own@1\n", "\ud800", "<b>")),
        *(_line(before=name) for name in ("x" * 300 + "@1", "\ud800", "..")),
        *(_line(by=text) for text in ("\ud800", "a\nb", "\u202e")),
        *(_line(at=text) for text in ("", "now", "\ud800", "0001-01-01T00:00:00+23:00", "2026-01-01", "9" * 5000)),
    ],
)
def test_damaged_line_of_the_history_changes_nothing(lead: Client, two: Repository, line: str) -> None:
    with (two.root / activations.FILE).open("a") as file:
        file.write(f"{line}\n")
    assert "switched to own@1" in _page(lead)
    lead.post(ACTIVATE, _payload())
    assert two.active_name() == NEW and two.previous_name() == OLD
    assert "switched to own@2" in _page(lead)


def test_folder_instead_of_the_history_is_kept_aside(lead: Client, two: Repository) -> None:
    (two.root / activations.FILE).unlink()
    (two.root / activations.FILE).mkdir()
    assert ACTIVATE in _page(lead)
    lead.post(ACTIVATE, _payload())
    assert (two.active_name(), two.previous_name()) == (NEW, OLD)


# --- Going back -------------------------------------------------------------------------------------


def test_lead_goes_back(lead: Client, two: Repository) -> None:
    two.activate(NEW)
    assert "Go back to own@1" in _page(lead)
    page = _page(lead, ROLLBACK)
    assert 'name="to" value="own@1"' in page and "<li>cup</li>" in page
    assert "The active model is own@1 now." in _said(lead.post(ROLLBACK, {"instead_of": NEW, "to": OLD}, follow=True))
    assert two.active_name() == OLD
    assert LogEntry.objects.get().get_change_message() == "Went back from own@2 to own@1."


def test_there_may_be_nothing_to_go_back_to(lead: Client, two: Repository) -> None:
    assert ROLLBACK not in _page(lead)
    assert "there is no earlier version to go back to." in _said(lead.get(ROLLBACK, follow=True))
