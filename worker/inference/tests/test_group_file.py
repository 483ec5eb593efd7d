"""The CSV file of groups: what it accepts, and what it says about mistakes."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.inference.grouping import InvalidGroups, read_groups
from worker.inference.tests.tiny_networks import ANIMALS


def _read(tmp_path: Path, text: str | bytes) -> dict[str, tuple[int, ...]]:
    file = tmp_path / "groups.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return {group.label.display_name: group.members for group in read_groups(file, ANIMALS)}


def test_finds_labels_by_id_name_display_name_and_synonym(tmp_path: Path) -> None:
    text = "cat,N1\ncat,persian cat\nbird,crane (bird)\ncrane,n4\ndog,Husky\n"
    assert _read(tmp_path, text) == {"cat": (0, 1), "bird": (2,), "crane": (3,), "dog": (4,)}


def test_rest_goes_into_one_group_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = _read(tmp_path, "other,*\nother,tabby\ndog,Eskimo_dog\n")
    assert found == {"other": (0, 1, 2, 3), "dog": (4,)}
    assert list(found) == ["other", "dog"]


@pytest.mark.parametrize("header", ["label,base label\n", "Label,Base_Label\r\n", '"label", "base label"\n'])
def test_header_byte_order_mark_and_empty_lines_are_skipped(tmp_path: Path, header: str) -> None:
    text = codecs.BOM_UTF8 + f"\n{header}\ndog,husky\n,\n other , * \n".encode()
    assert _read(tmp_path, text) == {"dog": (4,), "other": (0, 1, 2, 3)}


@pytest.mark.parametrize("delimiter", ";\t")
def test_columns_may_be_separated_as_spreadsheets_do(tmp_path: Path, delimiter: str) -> None:
    text = "label,base label\ncat,tabby\nother,*\n".replace(",", delimiter)
    assert _read(tmp_path, text) == {"cat": (0,), "other": (1, 2, 3, 4)}


def test_labels_may_have_commas_and_markup(tmp_path: Path) -> None:
    assert list(_read(tmp_path, '"<b>dog, big</b>",husky\nGroß 犬,*\n')) == ["<b>dog, big</b>", "Groß 犬"]


def test_members_become_synonyms_except_those_of_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("cat,tabby\ncat,n2\nother,*\n")
    cat, other = (group.label for group in read_groups(file, ANIMALS))
    assert (cat.id, cat.name) == ("cat", "cat")
    assert cat.synonyms == ("tabby", "tabby cat", "puss", "Persian_cat")
    assert other.synonyms == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there are no groups in the file"),
        ("label,base label\n\n", "there are no groups in the file"),
        ("dog,husky\ncat,taby\nother,*", r"line 2: there is no label 'taby'; did you mean tabby\?"),
        ("dog,husky\ncat,xyzzy\nother,*", "line 2: there is no label 'xyzzy'$"),
        ("bird,crane\nother,*", r"line 1: 'crane' can mean crane \(bird\) and crane \(machine\)"),
        ("cat,puss\nother,*", "line 1: 'puss' can mean Persian_cat and tabby"),
        ("cat,tabby\ndog,n1\nother,*", r"line 2: tabby is already in the group 'cat' \(line 1\)"),
        ("cat,tabby\ncat,tabby\nother,*", r"line 2: tabby is already in the group 'cat' \(line 1\)"),
        ("cat,*\ndog,husky\nother,*", "line 3: line 1 already says which group takes the rest"),
        ("a,n1\nb,n2\nc,n3\nd,n4\ne,n5\nf,*", r"line 6: no label is left for \*"),
        ("cat,tabby\ndog,husky", r"3 labels are in no group, such as Persian_cat.*: a row other,\* makes"),
        ("all,*", "a model needs at least two labels, and there are 1"),
        ("my_cat,tabby\nMy cat,*", "line 2: 'My cat' is 'my_cat' in an earlier line"),
        ("cat\nother,*", "line 1: there is 1 column instead of 2"),
        ("cat,tabby,puss\nother,*", "line 1: there are 3 columns instead of 2"),
        (",tabby\nother,*", "line 1: the label is missing"),
        ("cat,\nother,*", "line 1: the label of the base is missing"),
        ("cat\0,tabby\nother,*", "line 1 has a NUL character"),
        (f"{'a' * 10_000},tabby\nother,*", "line 1: the row has a text of 10,000 characters"),
        ('cat,"tabby\nother,*', "line 2 is not CSV"),
        ("cat,tabby\nGroß,husky".encode("latin-1"), "line 2 is not in UTF-8"),
        ("cat,tabby".encode("utf-16"), "line 1 is not in UTF-8"),
    ],
)
def test_says_what_is_wrong_and_where(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidGroups, match=message):
        _read(tmp_path, text)


def test_names_several_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidGroups, match=r"line 1: .*; line 5: .*; and 2 more$"):
        _read(tmp_path, "".join(f"dog,xyzzy{number}\n" for number in range(7)))


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_groups_or_an_error(tmp_path: Path, content: bytes) -> None:
    try:
        found = _read(tmp_path, content)
    except InvalidGroups:
        return
    assert sorted(member for members in found.values() for member in members) == list(range(len(ANIMALS)))
