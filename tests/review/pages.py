"""Every page of the desk, with content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from review.sample_photos import samples
from tests.review.conftest import OpenTab
from tests.review.desk import Desk

LONG = "It stands on a saucer, and there is a spoon beside it. " * 10


@dataclass(frozen=True)
class Pages:
    """`paths`: the name and the path of each page that a lead can open."""

    paths: dict[str, str]
    open_case: int


def fill_desk(desk: Desk, open_tab: OpenTab) -> Pages:
    """Creates cases in every state: open, flagged, with each verdict, undone, claimed by somebody else."""
    cases = [desk.say(photo, "teapot", comment=LONG if photo == 0 else "No.", author="one") for photo in range(9)]
    desk.say(0, "cup", comment="A cup.\n<b>Really</b>", author="two")
    desk.say(0, verdict="unsure", author="three")
    grace = open_tab("grace", java_script_enabled=False)  # claims nothing in advance
    for case, button in zip(
        cases[1:5], ("Accept “teapot”", "The model was right", "Unusable", "Unusable"), strict=True
    ):
        _press(grace, desk, case, button)
    _press(grace, desk, cases[4], "Undo this")
    _press(grace, desk, cases[4], "Accept “teapot”")
    grace.goto(f"{desk.url}/{cases[5]}/focus/")
    grace.get_by_text("Flag…").click()
    grace.get_by_label("What should somebody look at?").fill("Which of the two?")
    grace.get_by_role("button", name="Flag", exact=True).click()
    desk.let_claims_expire()
    _press(grace, desk, cases[6], "Claim it")
    desk.rows("UPDATE review_case SET in_audit = 1 WHERE id % 2 = 0")
    admin = "/admin/review/case"
    paths = {
        "result page with the question": _path(desk, 20),
        "result page with a decision": _path(desk, 1),
        "start page": "/admin/",
        "list": f"{admin}/",
        "list of all": f"{admin}/?state=all&order=confident",
        "list with a filter": f"{admin}/?state=decided&label=teapot",
        "list that is empty": f"{admin}/?predicted_label=nothing",
        "open case": f"{admin}/{cases[0]}/focus/",
        "decided case": f"{admin}/{cases[4]}/focus/?state=decided",
        "flagged case": f"{admin}/{cases[5]}/focus/",
        "case that another has claimed": f"{admin}/{cases[6]}/focus/",
        "nothing left": f"{admin}/nothing-left/?predicted_label=nothing",
        "grid": f"{admin}/grid/",
        "statistics": f"{admin}/statistics/",
        "data sets": "/admin/learning/export/",
        "new data set": "/admin/learning/export/add/",
        "int8 versions": "/admin/learning/quantization/",
        "report on an int8 version": f"/admin/learning/quantization/{_add_report(desk)}/change/",
        "models": "/admin/learning/installedmodel/",
        "model": "/admin/learning/installedmodel/efficientnet-lite0_401/change/",
        "status": "/admin/status/",
        "predictions": "/admin/predictions/prediction/",
        "prediction": f"/admin/predictions/prediction/{desk.answers[0]['id']}/change/",
        "images": "/admin/predictions/image/",
        "feedback": "/admin/feedback/feedback/",
        "statement": f"/admin/feedback/feedback/{desk.rows('SELECT MIN(id) FROM feedback_feedback')[0][0]}/change/",
        "accounts": "/admin/auth/user/",
    }
    return Pages(paths, cases[0])


def _add_report(desk: Desk) -> int:
    """Stores a report on an int8 version, once, with flipped answers of stored pictures and of a file."""
    known = desk.rows("SELECT id FROM learning_quantization")
    if known:
        return int(known[0][0])
    results = [
        {"name": name, "milliseconds": 9.7, "compared": 1000, "agree": 979, "right": 888}
        for name in ("f32", "bf16", "int8")
    ]
    desk.rows(
        "INSERT INTO learning_quantization (model_version, base, processor, calibrated_on, compared, labelled, flipped,"
        " precisions, created_at) VALUES ('efficientnet-lite0@2', 'efficientnet-lite0@1', 'Some Processor 9',"
        " '300 stored pictures', 1000, 1000, 21, ?, '2026-11-27 12:00:00')",
        json.dumps(results),
    )
    report = int(desk.rows("SELECT MAX(id) FROM learning_quantization")[0][0])
    columns = "quantization_id, label, score, new_label, new_score, score_of_new, known_label, file_name, thumbnail"
    shared = f"{report}, 'Eskimo_dog', 0.4, 'malamute', 0.39, 0.38"
    desk.rows(
        f"INSERT INTO learning_flippedanswer ({columns}, image_id)"  # noqa: S608
        f" SELECT {shared}, 'Eskimo_dog', '', x'', id FROM predictions_image ORDER BY id LIMIT 8"
    )
    desk.rows(
        f"INSERT INTO learning_flippedanswer ({columns}) VALUES ({shared}, '', ?, ?)",  # noqa: S608
        "dogs/" + "a_long_name_without_spaces" * 4 + ".jpg",
        samples(1)[0][1],
    )
    return report


def _press(tab: Any, desk: Desk, case: int, button: str) -> None:
    tab.goto(f"{desk.url}/{case}/focus/")
    tab.get_by_role("button", name=button).click()


def _path(desk: Desk, photo: int) -> str:
    return str(desk.answers[photo]["links"]["page"]).removeprefix(desk.site.url)
