"""The admin views of model versions, for leads: all of them, one, activating one, and going back."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_safe

from learning.models import InstalledModel, Quantization
from learning.versions import description, services
from learning.versions.description import Fact
from learning.versions.rows import all_models
from learning.versions.usage import usage_of
from predictions import classifiers
from review.label_changes import GoneLabel, LabelChanges, label_changes
from worker.inference.csv_files import BYTE_ORDER_MARK, neutral
from worker.inference.repository import ModelVersion, OtherVersionActive, RepositoryError

TEMPLATES = "admin/learning/installedmodel"
LIST = "admin:learning_installedmodel_changelist"
SHOWN_LABELS = 50  # of those that disappear or are new

may_view = permission_required("learning.view_installedmodel", raise_exception=True)
may_activate = permission_required("learning.activate_installedmodel", raise_exception=True)


def page_of(reference: str) -> str:
    """Returns the address of a version's page."""
    return reverse("admin:learning_installedmodel_change", args=[quote(reference)])


@may_view
@require_safe
def model_list(request: HttpRequest) -> HttpResponse:
    return _page(request, "list.html", "Models", models=all_models())


@may_view
@require_safe
def model_page(request: HttpRequest, reference: str) -> HttpResponse:
    try:
        version = classifiers.repository().find(reference)
    except RepositoryError as error:
        return _back(request, str(error))
    is_active = classifiers.active_name() == str(version)
    problem = next(version.problems(contents=False), None)
    facts = description.facts(version, usage_of(str(version)), is_active=is_active)
    reports = _int8_reports(request, str(version))
    return _page(
        request,
        "page.html",
        str(version),
        version=version,
        is_active=is_active,
        problem=problem,
        facts=_linked(facts, version, has_labels=problem is None),
        details=description.details(version),
        files=description.files(version),
        measurements=[
            list(zip(description.MEASUREMENT_TITLES, row, strict=True)) for row in description.measurements(version)
        ],
        measurement_titles=description.MEASUREMENT_TITLES,
        not_measured=description.not_measured(version),
        int8_reports=reports,
        has_own_report=any(report.model_version == str(version) for report in reports),
    )


def _linked(facts: Iterable[Fact], version: ModelVersion, *, has_labels: bool) -> list[Fact]:
    """Adds addresses to the facts of a version, and the file of its labels."""
    chosen = {"model_version": str(version)}
    urls = {
        description.PREDICTIONS: f"{reverse('admin:predictions_prediction_changelist')}?{urlencode(chosen)}",
        description.CASES: f"{reverse('admin:review_case_changelist')}?{urlencode({'state': 'all', **chosen})}",
    }
    if classifiers.installed_version(version.manifest.base):
        urls[description.MADE_FROM] = page_of(version.manifest.base)
    linked = [replace(fact, url=urls.get(fact.title, "")) for fact in facts]
    if has_labels:
        labels = Fact("All labels", "CSV file with ids, names and synonyms", url=_labels_url(version))
        linked.insert([fact.title for fact in linked].index(description.LABELS) + 1, labels)
    return linked


def _labels_url(version: ModelVersion) -> str:
    return reverse("admin:learning_installedmodel_labels", args=[quote(str(version))])


@may_view
@require_safe
def labels_file(request: HttpRequest, reference: str) -> HttpResponse:
    """Serves all labels of a version as CSV, as `model import --labels` reads them."""
    try:
        version = classifiers.repository().find(reference)
        labels = version.labels
    except RepositoryError as error:
        return _back(request, str(error))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, f"{version}-labels.csv") or ""
    response.write(BYTE_ORDER_MARK)
    writer = csv.writer(response)
    writer.writerow(("id", "name", "display_name", "synonyms", "description"))
    for label in labels:
        cells = label.id, label.name, label.display_name, "; ".join(label.synonyms), label.description
        writer.writerow(neutral(cell) for cell in cells)
    return response


def _int8_reports(request: HttpRequest, version: str) -> QuerySet[Quantization]:
    """The reports on int8 versions that are about this version, for users who may open them."""
    if not request.user.has_perm("learning.view_quantization"):
        return Quantization.objects.none()
    return Quantization.objects.filter(Q(model_version=version) | Q(base=version))


@may_activate
@require_http_methods(["GET", "HEAD", "POST"])
def activate(request: HttpRequest, reference: str) -> HttpResponse:
    """GET says what changes if the version becomes active; POST activates it.

    An address without a number leads to that of the newest version, which may be newer than the one that was shown.
    """
    try:
        name = classifiers.repository().full_name(reference)
    except RepositoryError as error:
        return _back(request, str(error))
    if name != reference:
        return redirect("admin:learning_installedmodel_activate", quote(name))
    if request.method == "POST":
        return _switch(request, reference, is_rollback=False)
    return _confirmation(request, reference, is_rollback=False)


@may_activate
@require_http_methods(["GET", "HEAD", "POST"])
def rollback(request: HttpRequest) -> HttpResponse:
    """GET says what changes if the version before becomes active again; POST activates it."""
    if request.method == "POST":
        return _switch(request, request.POST.get("to", ""), is_rollback=True)
    previous = classifiers.repository().previous_name()
    if not previous:
        return _back(request, "there is no earlier version to go back to.")
    return _confirmation(request, previous, is_rollback=True)


def _confirmation(request: HttpRequest, reference: str, *, is_rollback: bool) -> HttpResponse:
    repository = classifiers.repository()
    active = classifiers.active_name()
    try:
        services.check_activation_counts()
        version = repository.get(reference)
        services.check_loadable(version)
        changes = _changes(active, version)
    except RepositoryError as error:
        return _back(request, str(error))
    if str(version) == active:
        messages.info(request, f"The active model is {version} already.")
        return redirect(LIST)
    return _page(
        request,
        "confirm.html",
        f"Go back to {version}?" if is_rollback else f"Activate {version}?",
        version=version,
        warning=services.processor_warning(version),
        active=active,
        changes=changes,
        gone=_gone(changes) if changes else [],
        shown_labels=f":{SHOWN_LABELS}",
        shown_limit=SHOWN_LABELS,
        more_than=-SHOWN_LABELS,
        is_rollback=is_rollback,
    )


def _changes(active: str, version: ModelVersion) -> LabelChanges | None:
    """Returns what changes for reviewers, or `None` if the labels of the active version cannot be read."""
    try:
        before = classifiers.repository().find(active)
        _ = before.labels
    except RepositoryError:
        return None
    return label_changes(before, version)


def _gone(changes: LabelChanges) -> list[tuple[str, list[GoneLabel]]]:
    """Returns the labels that are gone under the titles of their lists, those of most cases first."""
    lists = {"Labels that disappear": changes.lost, "Labels that the mapping renames or merges": changes.mapped}
    return [
        (title, sorted(gone, key=lambda one: (-one.open_cases, -one.decided_cases))) for title, gone in lists.items()
    ]


def _switch(request: HttpRequest, reference: str, *, is_rollback: bool) -> HttpResponse:
    """Activates a version, unless another lead has changed the active one since the confirmation was shown."""
    assert isinstance(request.user, User)  # noqa: S101 - anonymous users have no permission
    before = request.POST.get("instead_of")
    if before is None:
        return _back(request, "the form was incomplete.")
    was_active = classifiers.active_name() == reference
    change = services.version_rollback if is_rollback else services.version_activate
    try:
        services.check_activation_counts()
        version = change(reference, by=f"{request.user.get_username()}, in the admin", instead_of=before)
    except OtherVersionActive as error:
        return _back(request, f"{error}. Please look again.")
    except RepositoryError as error:
        return _back(request, str(error))
    if was_active:  # the button was pressed twice
        messages.info(request, f"The active model is {version} already.")
        return redirect(LIST)
    verb = "Went back" if is_rollback else "Switched"
    _log(request.user, str(version), f"{verb} from {before or 'no model'} to {version}.")
    messages.success(request, f"The active model is {version} now. Workers load it, which takes some seconds.")
    return redirect(LIST)


def _log(user: User, reference: str, message: str) -> None:
    LogEntry.objects.log_actions(user.pk, [InstalledModel(reference)], CHANGE, message, single_object=True)


def _back(request: HttpRequest, reason: str) -> HttpResponse:
    """Returns to the list, which says why nothing was shown or changed."""
    # Django shows the first letter of a message as a capital, which the name of a version does not have.
    messages.error(request, f"{'Nothing was changed' if request.method == 'POST' else 'Not possible'}: {reason}")
    return redirect(LIST)


def _page(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    common = {
        **admin.site.each_context(request),
        "title": title,
        "opts": InstalledModel._meta,
        "fixed_model": settings.MODEL,
        "may_activate": request.user.has_perm("learning.activate_installedmodel") and not settings.MODEL,
    }
    return TemplateResponse(request, f"{TEMPLATES}/{template}", common | context)
