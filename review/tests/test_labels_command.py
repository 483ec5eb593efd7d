"""`manage.py labels`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from review.decisions import DecisionRequest, case_decide
from review.models import Case, LabelMapping, LabelSet
from review.tests.cases import open_case, reviewer_named
from review.tests.label_versions import install
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def versions(settings: Settings, tmp_path: Path) -> Repository:
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    install(repository, "a", "1 Eskimo_dog, husky", "2 cup", "3 latte", "4 mocha", "5 crane", "6 whippet")
    install(repository, "b", "1 husky", "7 mug", "8 teacup, cup", "9 latte", "10 coffee, mocha", "11 =unicorn")
    repository.activate("b@1")
    return repository


ROWS = "merge,cup,teacup\nmerge,3,latte\nrename,Mocha,coffee\ndrop,whippet,\nsplit,crane,mug\nsplit,crane,teacup\n"


def _run(*arguments: object) -> str:
    output = StringIO()
    call_command("labels", *map(str, arguments), stdout=output, stderr=output)
    return output.getvalue()


def _rejected(*arguments: object) -> str:
    with pytest.raises(CommandError) as error:
        _run(*arguments)
    return str(error.value)


def _map(tmp_path: Path, content: bytes | str, *options: str) -> str:
    return _run("map", "a", "b", _file(tmp_path, content), *options)


def _file(tmp_path: Path, content: bytes | str) -> Path:
    file = tmp_path / "mapping.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def _problem(tmp_path: Path, content: bytes | str) -> str:
    error = _rejected("map", "a", "b", _file(tmp_path, content))
    assert not LabelMapping.objects.exists()
    return error


def _decided(label: str) -> Case:
    case = open_case(statements=0, label="latte", model_version="a@1", top=[["latte", 0.9]])
    case_decide(
        case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest("corrected", label, may_propose=True)
    )
    return case


def test_diff_shows_what_changes_and_who_uses_it(tmp_path: Path) -> None:
    _decided("cup")
    _decided("=Unicorn")
    open_case(expected="crane", label="latte", model_version="a@1", top=[["latte", 0.9]])
    text = _run("diff", "a@1", "b@1")
    assert "Renamed, with the same id: 1\n  Eskimo_dog -> husky\n" in text
    assert "  cup: perhaps teacup (decided cases: 1, open cases: 0, statements: 0)\n" in text
    assert "  crane: no similar label (decided cases: 0, open cases: 1, statements: 1)\n" in text
    assert "New: 5\n" in text
    assert "  =Unicorn -> =unicorn (cases: 1)\n" in text
    assert "1 label is renamed, 5 disappear, 5 are new; 1 open case expects one that disappears" in text


def test_diff_counts_spellings_of_a_proposal_together(tmp_path: Path) -> None:
    for text in ("=unicorn", "=Unicorn", "=unicorn"):
        _decided(text)
    assert "Proposed by reviewers, and a label of b@1: 1\n  =unicorn -> =unicorn (cases: 3)\n" in _run("diff", "a", "b")
    _map(tmp_path, f"change,old,new\n{ROWS}proposed,'=unicorn,'=unicorn\n")
    assert "  =unicorn -> =unicorn (cases: 3, mapped)\n" in _run("diff", "a", "b")


def test_diff_says_what_the_mapping_makes_of_each_label(tmp_path: Path) -> None:
    for label in ("crane", "whippet", "whippet"):
        _decided(label)
    _map(tmp_path, f"change,old,new\n{ROWS}")
    text = _run("diff", "a", "b")
    assert "Renamed or merged by the mapping: 3\n  cup: becomes teacup (decided cases: 0," in text
    assert "Gone: 2\n  crane: split into mug and teacup (decided cases: 1," in text
    assert "  whippet: dropped (decided cases: 2," in text
    assert (
        "Reasons for which decided cases come back to the desk: 2\n  The label “whippet” was dropped. Cases: 2.\n"
        "  The label “crane” was split into “mug” and “teacup”. Cases: 1.\n"
    ) in text


def test_draft_can_be_edited_and_stored(tmp_path: Path) -> None:
    _decided("=Unicorn")
    file = tmp_path / "draft.csv"
    assert f"{file}: 6 lines; 2 of them need a change." in _run("diff", "a", "b", "--csv", file)
    text = file.read_text(encoding="utf-8-sig")
    assert text.splitlines() == [
        "change,old,new",
        "rename,cup,teacup",
        "rename,latte,latte",
        "rename,mocha,coffee",
        ",crane,",
        ",whippet,",
        "proposed,'=Unicorn,'=unicorn",
    ]
    error = _rejected("map", "a", "b", file)
    assert error.splitlines() == [
        *(
            f"Line {number}: say what becomes of “{label}”: rename, merge, split, drop, proposed."
            for number, label in ((5, "crane"), (6, "whippet"))
        ),
        "Nothing was stored.",
    ]
    file.write_text(text.replace(",crane,", "drop,crane,").replace(",whippet,", "drop,whippet,"), encoding="utf-8")
    assert "The mapping is stored." in _run("map", "a", "b", file)


def test_draft_does_not_replace_a_file(tmp_path: Path) -> None:
    file = _file(tmp_path, "an edited mapping")
    assert _rejected("diff", "a", "b", "--csv", file).startswith(f"{file} exists already.")
    assert file.read_text() == "an edited mapping"


def test_stores_a_mapping(tmp_path: Path) -> None:
    _decided("crane")
    _decided("Uni corn")
    _decided("dragon")
    text = _map(tmp_path, f"change,old,new\n{ROWS}proposed,Uni corn,'=unicorn\nproposed,dragon,mug\n")
    assert text == (
        "a@1 to b@1: 1 renamed, 2 merged, 1 split, 1 dropped, 2 proposed labels; "
        "1 decided case comes back to the desk once b@1 answers.\nThe mapping is stored.\n"
    )
    assert LabelMapping.objects.get().rows == [
        ["merge", "cup", ["teacup"]],
        ["merge", "latte", ["latte"]],
        ["rename", "mocha", ["coffee"]],
        ["drop", "whippet", []],
        ["split", "crane", ["mug", "teacup"]],
        ["proposed", "uni corn", ["=unicorn"]],
        ["proposed", "dragon", ["mug"]],
    ]
    summary = "a@1 to b@1: 1 renamed, 2 merged, 1 split, 1 dropped, 2 proposed labels; stored "
    assert _run("list").startswith(summary)
    assert _run("reopen").endswith("1 decided case comes back to the desk.\n")
    _run("remove", "a", "b")
    assert _run("list") == "There is no mapping.\n"
    assert "There is no mapping" in _rejected("remove", "a", "b")


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    case = _decided("crane")
    assert _map(tmp_path, f"change,old,new\n{ROWS}", "--dry-run").endswith("Nothing was stored.\n")
    assert not LabelMapping.objects.exists() and not LabelSet.objects.exists()
    _map(tmp_path, f"change,old,new\n{ROWS}")
    text = _run("reopen", "--dry-run")
    assert "The label “crane” was split into “mug” and “teacup”. Cases: 1." in text
    assert Case.objects.get(pk=case.pk).state == "decided"


def test_stored_again_replaces_the_mapping(tmp_path: Path) -> None:
    for _ in range(2):
        _map(tmp_path, f"change,old,new\n{ROWS}")
    assert LabelMapping.objects.count() == 1


def test_drops_what_no_line_names(tmp_path: Path) -> None:
    text = _map(tmp_path, "change,old,new\nmerge,cup,teacup\n", "--drop-others")
    assert "1 merged, 4 dropped" in text


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + f"change,old,new\n{ROWS}".encode(),
        f"Change;Old;New;cases\n{ROWS}".replace(",", ";"),
        f"new,change,old\n{ROWS}".replace("\n", "\r\n"),
        f"change,old,new\r{ROWS}".replace("\n", "\r"),
        f"\nchange,old,new\n\n,,\n{ROWS}",
    ],
)
def test_reads_what_spreadsheets_write(tmp_path: Path, content: bytes | str) -> None:
    if isinstance(content, str) and content.startswith("new"):
        rows = [row.split(",") for row in ROWS.splitlines()]
        content = "new,change,old\r\n" + "".join(f"{new},{change},{old}\r\n" for change, old, new in rows)
    assert "The mapping is stored." in _map(tmp_path, content)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("rename,cupp,teacup", "Line 2: a@1 has no label “cupp”. Did you mean “cup”?"),
        ("merge,cup,teacups", "Line 2: b@1 has no label “teacups”. Did you mean “teacup”?"),
        ("renamed,cup,teacup", "Line 2: there is no change “renamed”. Changes: rename, merge, split, drop, proposed."),
        ("drop,cup,teacup", "Line 2: a label that is dropped has no new label, but this line has “teacup”."),
        ("merge,cup,", "Line 2: “cup” has no new label."),
        ("merge,cup", "Line 2: “cup” has no new label."),
        ("split,cup,teacup", "Line 2: “cup” is split into one label only. Call it rename or merge."),
        ("merge,cup,mug\nmerge,cup,teacup", "Line 3: “cup” is mapped on line 2 already."),
        ("split,cup,mug\nsplit,cup,mug", "Line 3: “cup” is mapped on line 2 already."),
        ("rename,cup,teacup\nrename,mocha,teacup", "Line 2: “teacup” also stands for “mocha”. Call it merge."),
        ("rename,cup,husky", "Line 2: “husky” also stands for “Eskimo dog”. Call it merge."),
        ("drop,cup,", "“whippet” is not a label of b@1, and no line says what becomes of it."),
        ("proposed,,mug", "Line 2: a proposed label has 1 to 200 characters."),
        ("proposed,a,mug\nproposed,A ,teacup", "Line 3: “A” is mapped on line 2 already."),
        ("drop,cup\0,", "Line 2 has a NUL character."),
    ],
)
def test_says_what_is_wrong_and_where(tmp_path: Path, line: str, problem: str) -> None:
    assert problem in _problem(tmp_path, f"change,old,new\n{line}\n").splitlines()


def test_wrong_line_about_a_label_is_one_problem(tmp_path: Path) -> None:
    lines = ROWS.replace("merge,cup,teacup", "merge,cup,teacups").replace("drop,whippet,", "drop,whippet,mug")
    assert _problem(tmp_path, f"change,old,new\n{lines}").splitlines() == [
        "Line 2: b@1 has no label “teacups”. Did you mean “teacup”?",
        "Line 5: a label that is dropped has no new label, but this line has “mug”.",
        "Nothing was stored.",
    ]


def test_warns_of_a_proposal_that_nobody_has_made(tmp_path: Path) -> None:
    _decided("=Unicorn")
    content = f"change,old,new\n{ROWS}proposed,=unicorn,mug\nproposed,unicron,mug\n"
    text = _map(tmp_path, content)
    assert text.startswith("Warning: no decided case has the proposed label “unicron”.\na@1 to b@1: ")
    assert text.count("Warning") == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf\n \n", "The file is empty."),
        (b"cup,teacup\n", "Line 1: the heading needs the columns change, old, new; change, old, new is missing."),
        ("change,old,new\ndrop,café,\n".encode("latin-1"), "Line 2 is not in UTF-8: save the file as CSV in UTF-8."),
        ("change,old,new\n".encode("utf-16"), "Line 1 is not in UTF-8: save the file as CSV in UTF-8."),
        (b"change,old,new\ndrop," + b"x" * 200_000 + b",\n", "Line 2 is not CSV: field larger than field limit"),
        (b"x" * 20_000_001, "The file has more than 20,000,000 bytes."),
    ],
)
def test_rejects_other_files(tmp_path: Path, content: bytes, problem: str) -> None:
    assert _problem(tmp_path, content).startswith(problem)


def test_names_many_problems_in_short(tmp_path: Path) -> None:
    lines = _problem(tmp_path, "change,old,new\n" + "drop,nothing like it,\n" * 5000).splitlines()
    assert (len(lines), lines[20]) == (22, "and 4,985 more problems")


def test_versions_with_the_same_labels_need_no_mapping(tmp_path: Path) -> None:
    file = _file(tmp_path, "change,old,new\n")
    assert _rejected("map", "a", "a", file).startswith("a@1 and a@1 have the same labels")


@pytest.mark.parametrize(
    "arguments", [("diff", "a", "c"), ("map", "c", "b", "none.csv"), ("map", "a", "b", "none.csv")]
)
def test_says_what_does_not_exist(arguments: tuple[str, ...]) -> None:
    assert _rejected(*arguments)


def test_map_warns_of_a_label_that_does_not_become_itself(tmp_path: Path) -> None:
    header = "change,old,new\n"
    assert "Warning" not in _map(tmp_path, header + ROWS)
    for new, warnings in (("mocha", 0), ("whippet", 1)):
        text = _run("map", "b", "a", _file(tmp_path, f"{header}rename,coffee,{new}\n"), "--drop-others")
        assert "The mapping is stored.\n" in text
        assert text.count("Warning") == warnings
        warning = "Warning: by the stored mapping from a@1 to b@1, “coffee” does not become itself.\n"
        assert text.count(warning) == warnings


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "mapping.csv"
    assert _rejected("map", "a", "b", missing) == f"cannot read {missing}: No such file or directory"
    assert _rejected("map", "a", "b", tmp_path) == f"cannot read {tmp_path}: Is a directory"
    assert _rejected("diff", "a", "b", "--csv", missing) == f"cannot write {missing}: No such file or directory"
