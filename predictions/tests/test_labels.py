"""Searching and resolving labels."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django import Settings

from predictions import labels
from predictions.labels import LabelIndex
from predictions.models import Prediction
from worker.inference.label_search import LabelMatch
from worker.inference.repository import ModelVersion, Repository, model_version
from worker.inference.repository.build import LABELS
from worker.inference.repository.labels import Label, labels_from_text
from worker.inference.repository.manifest import MANIFEST
from worker.inference.spelling import normalize


def _index(*rows: str) -> LabelIndex:
    """Returns an index of labels. Each row: a name and, after colons, its synonyms."""
    parts = [row.split(":") for row in rows]
    return LabelIndex([Label(f"id{number}", name, name, tuple(words)) for number, (name, *words) in enumerate(parts)])


IMAGENET = LabelIndex(labels_from_text(LABELS.read_text(encoding="utf-8")))
DOGS = _index(
    "dingo:dingo",
    "Eskimo_dog:Eskimo dog:husky",
    "hot_dog:hot dog:dogmeat",
    "dog",
    "bulldog",
    "cat:tiger cat:dog catcher",
)
TEXTS = [
    text
    for label in IMAGENET.labels
    for text in (label.name, ", ".join(label.synonyms), ", ".join(label.synonyms)[3:], label.name[:4])
]


def _words(matches: Sequence[LabelMatch]) -> list[str]:
    return [match.label.display_name for match in matches]


def _found(text: str, index: LabelIndex = IMAGENET, **options: object) -> list[str]:
    return _words(index.search(text, **options))  # type: ignore[arg-type]


def test_orders_labels_by_the_kind_of_match() -> None:
    assert _found("dog", DOGS) == ["dog", "Eskimo_dog", "hot_dog", "cat", "bulldog"]
    assert _found("husky")[:2] == ["Eskimo_dog", "Siberian_husky"], (
        "a complete synonym counts more than a part of a label"
    )


def test_names_the_synonym_that_matched() -> None:
    husky, hot_dog, cat = (DOGS.search(text)[0] for text in ("husky", "hot", "catcher"))
    assert (husky.label.display_name, husky.synonyms, husky.matched) == ("Eskimo_dog", ("husky",), "husky")
    assert (hot_dog.matched, cat.matched) == ("", "dog catcher")


@pytest.mark.parametrize("text", ["Eskimo_dog", "eskimo dog", "ESKIMO-DOG", "  Éskimo   dóg ", "eskimo_dog."])
def test_case_accents_and_separators_make_no_difference(text: str) -> None:
    assert _found(text)[0] == IMAGENET.resolve(text) == "Eskimo_dog"


def test_predicted_labels_come_first_without_a_text() -> None:
    first = ["tabby", "Egyptian_cat", "no_such_label", "tabby"]
    assert _found("", first=first, limit=4) == ["tabby", "Egyptian_cat", "abacus", "abaya"]
    assert _found("", limit=2) == ["abacus", "abaya"]
    assert len(_found("", limit=2000)) == len(IMAGENET) == 1000


def test_predicted_labels_break_ties() -> None:
    assert _found("retriever", first=["golden_retriever"])[0] == "golden_retriever"
    assert _found("dog", DOGS, first=["bulldog"])[-1] == "bulldog", "it does not outrank a better match"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("retreiver", "golden_retriever"),
        ("golden retreiver", "golden_retriever"),
        ("golden retrei", "golden_retriever"),
        ("chiuaua", "Chihuahua"),
        ("expresso", "espresso"),
        ("siberian hsuky", "Siberian_husky"),
        ("carpenters kit", "carpenter's_kit"),
    ],
)
def test_finds_labels_despite_typos(text: str, meant: str) -> None:
    assert meant in _found(text)
    assert IMAGENET.resolve(text) in {None, "carpenter's_kit"}, "a typo is never resolved without the user"


def test_finds_labels_whose_name_is_part_of_the_text() -> None:
    assert _found("a coffee cup") == ["cup"] and IMAGENET.resolve("a coffee cup") is None
    assert _found("my golden retriever dog")[0] == "golden_retriever"
    assert _found("crowd") == [], "only whole words match: not crow"


def test_ignores_typos_if_a_label_starts_with_the_text() -> None:
    assert _found("crane") == ["crane (bird)", "crane (machine)"]


@pytest.mark.parametrize("text", ["zzzzzz", "???", "_", "\x00", "\ud800", "犬", "x" * 100_000])
def test_finds_nothing_for_other_texts(text: str) -> None:
    assert (_found(text), IMAGENET.resolve(text)) == ([], None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("husky", "Eskimo_dog"),  # a Siberian husky exists too, but only one label has exactly this synonym
        ("tank suit", "maillot (swimsuit)"),
        ("crane", None),
        ("Crane (Bird)", "crane (bird)"),
        ("panther", None),  # a synonym of two cats
        ("gong", "gong"),  # a synonym of chime too, but a label's own name wins
        ("", None),
        (" ", None),
    ],
)
def test_resolves_names_and_unique_synonyms(text: str, label: str | None) -> None:
    assert IMAGENET.resolve(text) == label


def test_a_shared_name_means_each_of_its_labels() -> None:
    assert [label.display_name for label in IMAGENET.meant_by("crane")] == ["crane (bird)", "crane (machine)"]
    assert [label.id for label in IMAGENET.meant_by("crane (bird)")] == ["n02012849"]
    assert IMAGENET.meant_by("unicorn") == () and IMAGENET.get("crane") is None
    assert IMAGENET.words_for("crane (bird)") == ("crane (bird)", "crane")
    assert IMAGENET.words_for("cup") == ("cup",) and IMAGENET.words_for("crane") == ("crane",)
    assert IMAGENET.id_of("cup") == "n07930864" and IMAGENET.with_id("n07930864") is IMAGENET.get("cup")
    assert IMAGENET.id_of("crane") is None and IMAGENET.with_id("cup") is None


@pytest.mark.parametrize("word", ["🐕", "C++", "C#", "C", "שלום", "قطة", "<b>", "a  b", "x" * 200])
def test_finds_labels_of_any_characters(word: str) -> None:
    index = _index("C", "C++", "C#", "🐕", "🐈", "שלום", "قطة", "<b>", "a  b", "x" * 200)
    assert index.resolve(word) == word and _found(word, index)[0] == word


def test_a_label_wins_over_a_synonym() -> None:
    index = _index("wolf:timber wolf", "coyote:wolf")
    assert index.resolve("Wolf") == "wolf"


def test_the_case_tells_labels_apart_that_differ_in_nothing_else() -> None:
    index = _index("Polish", "polish")
    assert [index.resolve(text) for text in ("Polish", "polish", "POLISH")] == ["Polish", "polish", None]
    assert [index.resolve(text) for text in (" Polish_", "polish ", "POLISH ")] == ["Polish", "polish", None]


@example("Cardigan")
@given(st.text() | st.sampled_from(TEXTS))
def test_search_and_resolve_agree_on_arbitrary_text(text: str) -> None:
    found = IMAGENET.search(text, limit=7)
    names = _words(found)
    assert len(found) <= 7 and len(set(names)) == len(found)
    assert all(match.matched in {"", *match.synonyms} for match in found)
    assert names == _found(text, limit=20)[:7], "a longer list starts with the shorter one"
    label = IMAGENET.resolve(text)
    if label is not None:
        assert IMAGENET.resolve(label) == label
        assert label in _found(text, limit=20)
        assert IMAGENET.resolve(text.upper()) in {label, None} and IMAGENET.resolve(f" {text}_") == label


@given(st.sampled_from([label.display_name for label in IMAGENET.labels]))
@example("cardigan")
@example("Cardigan")
def test_every_label_is_found_by_its_name(word: str) -> None:
    assert _found(labels.readable(word))[0] == word


@given(st.sampled_from(IMAGENET.labels), st.data())
def test_every_label_is_found_while_it_is_typed(label: Label, data: st.DataObject) -> None:
    word = label.display_name
    typed = word[: data.draw(st.integers(1, len(word)))]
    assert word in _found(typed, limit=1000)


@given(st.text())
def test_normalizing_leaves_words_and_is_idempotent(text: str) -> None:
    normalized = normalize(text)
    assert re.fullmatch(r"[^\W_]+( [^\W_]+)*|", normalized) and normalize(normalized) == normalized


# --- The labels of the active version ------------------------------------------------------------------


@pytest.fixture
def installed(models: Repository, settings: Settings, tmp_path: Path) -> ModelVersion:
    """The active version, in a folder that a test may change."""
    settings.MODELS_DIR = tmp_path / "models"
    shutil.copytree(models.root, settings.MODELS_DIR)
    version = Repository(settings.MODELS_DIR).active()
    assert version is not None
    return version


def test_uses_the_labels_of_the_active_version(installed: ModelVersion) -> None:
    assert _words(labels.index().search("husky")) == ["Eskimo_dog", "Siberian_husky"]
    assert labels.index().resolve("eskimo dog") == "Eskimo_dog"


def test_reads_the_labels_once(installed: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = labels.index()
    monkeypatch.setattr(model_version, "sha256_of", None)
    assert labels.index() is loaded


def test_reads_the_labels_of_many_versions_once_and_without_search_tables(
    installed: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 7):
        folder = shutil.copytree(installed.path, installed.path.with_name(str(number)))
        (folder / MANIFEST).write_text(replace(installed.manifest, version=number).to_json())
    names = [f"{installed.name}@{number}" for number in range(1, 7)]
    monkeypatch.setattr(labels, "LabelSearch", None)
    monkeypatch.setattr(labels, "threading", None)
    loaded = [labels.of_version(name) for name in names]
    monkeypatch.setattr(model_version, "sha256_of", None)
    assert [labels.of_version(name) for name in names] == loaded and len(set(map(id, loaded))) == 6
    assert [index.id_of("cup") for index in loaded] == ["n07930864"] * 6
    assert loaded[0].resolve("cup") == "cup", "a label's own word needs no search"
    assert [label.display_name for label in labels.meant_by("crane", names[0])] == ["crane (bird)", "crane (machine)"]


def test_reads_the_labels_of_a_newly_activated_version(installed: ModelVersion) -> None:
    before = labels.index()
    folder = shutil.copytree(installed.path, installed.path.with_name("2"))
    (folder / MANIFEST).write_text(replace(installed.manifest, version=2).to_json())
    Repository(installed.path.parents[1]).activate(f"{installed.name}@2")
    assert labels.index() is not before and len(labels.index()) == 1000


def test_concurrent_threads_share_one_index(installed: ModelVersion) -> None:
    found: list[LabelIndex] = []
    threads = [threading.Thread(target=lambda: found.append(labels.index())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(map(id, found))) == 1


def test_has_no_labels_without_an_installed_model(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path / "nothing"
    assert (labels.index().search(""), labels.index().search("cup"), labels.index().resolve("cup")) == ([], [], None)


def test_has_no_labels_while_the_file_is_damaged(installed: ModelVersion, caplog: pytest.LogCaptureFixture) -> None:
    file = installed.file("labels")
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole.replace("husky", "hunks"), encoding="utf-8")
    assert labels.index().search("cup") == [] and "cannot be read" in caplog.text
    file.write_text(whole, encoding="utf-8")
    assert labels.index().resolve("husky") == "Eskimo_dog", "a restored file is read"


def test_compares_a_text_with_all_labels_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    index = _index("golden_retriever", "tabby")
    assert _found("golden retreiver", index) == ["golden_retriever"]
    monkeypatch.setattr("difflib.SequenceMatcher", None)
    assert _found("Golden  Retreiver", index, first=["tabby"]) == ["golden_retriever"]


# --- The labels of the version that answered -----------------------------------------------------------


def test_reads_the_labels_of_an_earlier_version(two_versions: Repository) -> None:
    earlier, active = labels.index("other-net@1"), labels.index()
    assert (earlier.resolve("Monoceros"), earlier.resolve("husky")) == ("unicorn", None)
    assert (active.resolve("Monoceros"), active.resolve("husky")) == (None, "Eskimo_dog")
    assert labels.index("other-net@1") is earlier


def test_uses_the_active_version_in_place_of_one_that_was_removed(two_versions: Repository) -> None:
    assert labels.index("other-net@2") is labels.index("no version at all") is labels.index()
    assert labels.index("other-net@1").id_of("unicorn") == "n00000001"
    two_versions.remove("other-net@1")
    assert labels.index("other-net@1") is labels.index()


def test_has_no_labels_while_those_of_the_earlier_version_are_damaged(
    two_versions: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    (two_versions.root / "other-net" / "1" / "labels.tsv").write_text("n00000000\tcat\n")
    assert len(labels.index("other-net@1")) == 0 and "other-net@1 cannot be read" in caplog.text
    assert labels.index().resolve("husky") == "Eskimo_dog"


@pytest.mark.parametrize(
    ("text", "label"),
    [("Unicorn", "unicorn"), ("monoceros", "unicorn"), ("husky", None), ("narwhal", "Narwhal"), ("", None)],
)
def test_matches_labels_of_the_version_and_of_the_answer(
    two_versions: Repository, text: str, label: str | None
) -> None:
    answer = Prediction(model_version="other-net@1", top=[["cup", 0.9], ["Narwhal", 0.1]])
    assert labels.match(text, answer) == label


@pytest.mark.parametrize("text", ["cup\u200b", "\u2067cup\u2069", "c\u00adup", "\ufeffCUP"])
def test_invisible_characters_make_no_difference(installed: ModelVersion, text: str) -> None:
    assert labels.index().resolve(text) == "cup"
