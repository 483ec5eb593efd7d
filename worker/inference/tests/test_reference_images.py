"""Pictures that show people what a label means: made by an import, and read from files of anyone."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from worker.inference.importing import (
    ImportOptions,
    ImportRefused,
    check_version_files,
    examine_network,
    import_network,
)
from worker.inference.importing.reference_pictures import check_references
from worker.inference.quantizing import build_candidate, install_candidate
from worker.inference.repository import Damaged, ModelVersion, Repository
from worker.inference.repository.manifest import FILES, MANIFEST
from worker.inference.repository.reference_images import MAX_BYTES, InvalidReferences, ReferenceImages
from worker.inference.tests.pictures import encoded
from worker.inference.tests.reference_zips import BLUE, GREEN, OF_ANIMALS, RED, flat_jpeg, references_zip
from worker.inference.tests.small_cnn import LABELS, SmallCnn
from worker.inference.tests.tiny_networks import ANIMALS, SIDE, add_version

Import = Callable[[Path], ModelVersion]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for pictures, with an empty folder for the second label."""
    (tmp_path / "pictures" / LABELS[1]).mkdir(parents=True)
    return tmp_path / "pictures"


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def install(cnn: SmallCnn, repository: Repository, labels_file: Path, reports: list[str]) -> Import:
    """Imports a network with reference images from a folder."""

    def install(references: Path) -> ModelVersion:
        options = ImportOptions(labels=str(labels_file), preset="keras-tf", references=references)
        return import_network(repository, "own", cnn.onnx, options, report=reports.append)

    return install


def _put(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


def _images(version: ModelVersion) -> ReferenceImages:
    images = version.reference_images
    assert images is not None
    return images


def _shown(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=["JPEG"])


def test_import_makes_small_images_of_the_first_three_pictures(
    install: Import, folder: Path, repository: Repository, reports: list[str]
) -> None:
    for number, colour in enumerate(("red", "green", "blue", "white")):
        _put(folder, f"{LABELS[2]}/{number}.png", encoded(Image.new("RGB", (640, 320), colour)))
    _put(folder, f"{LABELS[0]}/1.png", encoded(Image.new("RGB", (20, 10), "red")))
    version = install(folder)
    assert repository.verify() == []
    images = _images(version)
    assert [images.count(position) for position in range(len(LABELS))] == [1, 0, 3, 0]
    assert images.positions == [0, 2]
    shown = [_shown(images.read(2, number)) for number in (1, 2, 3)]
    assert [image.size for image in shown] == [(320, 160)] * 3
    assert [np.argmax(np.asarray(image)[80, 160]) for image in shown] == [0, 1, 2]
    assert _shown(images.read(0, 1)).size == (20, 10)
    assert "reference images: 4 for 2 labels" in reports
    with zipfile.ZipFile(version.file("references")) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_import_names_files_that_are_no_pictures_and_leaves_them_out(
    install: Import, folder: Path, reports: list[str]
) -> None:
    _put(folder, f"{LABELS[0]}/1.jpg", RED[:100])
    _put(folder, f"{LABELS[0]}/2.jpg", GREEN)
    images = _images(install(folder))
    assert images.count(0) == 1
    assert np.argmax(np.asarray(_shown(images.read(0, 1)))[0, 0]) == 1
    assert [line for line in reports if "left out" in line and f"{LABELS[0]}/1.jpg" in line]


def test_import_is_refused_if_no_picture_can_be_read(
    install: Import, folder: Path, repository: Repository, reports: list[str]
) -> None:
    _put(folder, f"{LABELS[0]}/1.jpg", b"text")
    with pytest.raises(ImportRefused, match="none of the reference images is a picture"):
        install(folder)
    assert [path.name for path in repository.root.iterdir()] == [".lock"]
    _put(folder, "other/1.jpg", RED)
    with pytest.raises(ImportRefused, match="the folder 'other', and no label has that name"):
        install(folder)


def test_dry_run_looks_at_the_pictures(cnn: SmallCnn, labels_file: Path, folder: Path) -> None:
    _put(folder, f"{LABELS[0]}/1.jpg", b"text")
    options = ImportOptions(labels=str(labels_file), preset="keras-tf", references=folder)
    with pytest.raises(ImportRefused, match="none of the reference images is a picture"):
        examine_network(cnn.onnx, options)


def test_images_are_upright_and_have_no_metadata(install: Import, folder: Path) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "a camera"  # turned by a quarter
    photo = encoded(Image.new("RGB", (64, 32), "red"), "JPEG", exif=exif, comment="at home")
    _put(folder, f"{LABELS[0]}/1.jpg", photo)
    content = _images(install(folder)).read(0, 1)
    assert _shown(content).size == (32, 64)
    assert b"camera" not in content and b"at home" not in content


def test_any_picture_fits_the_limit(install: Import, folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (320, 320, 3), np.uint8) * 255
    _put(folder, f"{LABELS[0]}/1.png", encoded(Image.fromarray(noise)))
    assert MAX_BYTES / 2 < len(_images(install(folder)).read(0, 1)) < MAX_BYTES


def test_same_pictures_make_the_same_file(install: Import, folder: Path) -> None:
    _put(folder, f"{LABELS[0]}/1.jpg", RED)
    assert install(folder).manifest.files["references"] == install(folder).manifest.files["references"]


def test_images_are_carried_to_another_site(repository: Repository, tmp_path: Path) -> None:
    add_version(repository)
    with_images = add_version(repository, references=OF_ANIMALS)
    repository.export(str(with_images), tmp_path / "animals.zip")
    by_file, by_folder = Repository(tmp_path / "by-file"), Repository(tmp_path / "by-folder")
    # Its network is known there, but not its images.
    add_version(by_file)
    by_file.import_file(tmp_path / "animals.zip", check=check_version_files)
    by_folder.import_versions(repository.root)
    for elsewhere in (by_file, by_folder):
        assert elsewhere.verify() == []
        assert elsewhere.get("animals@1").reference_images is None
        images = _images(elsewhere.get("animals@2"))
        assert (images.version, images.read(0, 2), images.read(4, 1)) == ("animals@2", BLUE, GREEN)


def test_int8_version_has_the_images_of_its_base(repository: Repository, tmp_path: Path) -> None:
    base = add_version(repository, references=OF_ANIMALS)
    pixels = np.random.default_rng(0).integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)
    candidate = build_candidate(base, pixels, tmp_path / "candidate", calibrated_on="noise")
    version = install_candidate(repository, candidate, print)
    assert version.manifest.files["references"] == base.manifest.files["references"]
    assert _images(version).read(0, 1) == RED


def test_images_count_in_the_size_and_are_verified(repository: Repository) -> None:
    version = add_version(repository, references=OF_ANIMALS)
    sizes = {path.name: path.stat().st_size for path in version.path.iterdir()}
    assert version.size_on_disk == sum(sizes.values()) - sizes[MANIFEST]
    content = bytearray(OF_ANIMALS)
    content[60] ^= 1
    version.file("references").write_bytes(content)
    assert [problem.file for problem in repository.verify()] == ["references.zip"]
    with pytest.raises(InvalidReferences, match="image 1 of label 0 is damaged"):
        _images(version).read(0, 1)
    version.file("references").unlink()
    with pytest.raises(Damaged, match=r"references\.zip is missing"):
        _ = ModelVersion.open(version.path).reference_images


def test_asking_for_an_image_that_does_not_exist(repository: Repository) -> None:
    images = _images(add_version(repository, references=OF_ANIMALS))
    for position, number in ((0, 0), (0, 3), (1, 1), (5, 1), (-1, 1)):
        with pytest.raises(KeyError):
            images.read(position, number)


HOSTILE = {
    "empty": b"",
    "text": b"no zip" * 100,
    "truncated": OF_ANIMALS[:-1],
    "with a comment": OF_ANIMALS[:-2] + b"\x01\x00#",
    "with bytes before it": b"#" + OF_ANIMALS,
    "compressed": references_zip({"0/1.jpg": RED}, zipfile.ZIP_DEFLATED),
    "too large": references_zip({"0/1.jpg": RED + bytes(MAX_BYTES)}),
    "path": references_zip({"../../1.jpg": RED}),
    "another label": references_zip({f"{len(ANIMALS)}/1.jpg": RED}),
    "fourth image": references_zip({f"0/{number}.jpg": RED for number in (1, 2, 3, 4)}),
    "gap": references_zip({"0/2.jpg": RED}),
    "other file": references_zip({"0/1.jpg": RED, "0/1.html": b"<script>"}),
    "too many files": references_zip({f"{number}/1.jpg": b"" for number in range(3 * len(ANIMALS) + 1)}),
    "long names": references_zip({"0" * 60_000 + "/1.jpg": RED}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_rejects_other_files(content: bytes, repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "references.zip").write_bytes(content)
    with pytest.raises(InvalidReferences):
        ReferenceImages("own@1", tmp_path / "references.zip", len(ANIMALS))
    version = add_version(repository, references=content or b"\n")
    with pytest.raises(Damaged, match=r"^animals@1: references\.zip is unreadable: "):
        _ = version.reference_images


def test_rejects_a_large_directory_before_reading_it(tmp_path: Path) -> None:
    """`zipfile` would make an object of half a kilobyte for each of the entries, whatever their number says."""
    path = tmp_path / "references.zip"
    with path.open("wb") as file:
        file.truncate(2**32)  # takes no space on the disk
        file.seek(2**32 - 22)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, 2**32 - 22, 0, 0))
    with pytest.raises(InvalidReferences):
        ReferenceImages("own@1", path, 1_000)


def test_rejects_the_format_for_large_files(tmp_path: Path) -> None:
    """It says elsewhere how large the directory is."""
    labels = 20
    content = references_zip({f"{number}/1.jpg": RED for number in range(labels)})
    end = list(struct.unpack("<4s4H2LH", content[-22:]))
    length, start = end[5:7]
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, labels, labels, length, start)
    large += struct.pack("<4sLQL", b"PK\x06\x07", 0, start + length, 1)
    end[5] += len(large)
    path = tmp_path / "references.zip"
    path.write_bytes(content[:-22] + large + struct.pack("<4s4H2LH", *end))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == labels, "a reader for all formats takes it"
    with pytest.raises(InvalidReferences, match="it is no zip file of images"):
        ReferenceImages("own@1", path, labels)


@given(st.lists(st.tuples(st.integers(0, len(OF_ANIMALS) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_raise_no_other_error(tmp_path_factory: pytest.TempPathFactory, changes) -> None:
    content = bytearray(OF_ANIMALS)
    for place, value in changes:
        content[-place] = value  # the directory is at the end
    path = tmp_path_factory.getbasetemp() / "references.zip"
    path.write_bytes(content)
    try:
        images = ReferenceImages("own@1", path, len(ANIMALS))
        for position in images.positions:
            assert len(images.read(position, 1)) <= MAX_BYTES
    except InvalidReferences:
        pass


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"<html>", "no picture"),
        (encoded(Image.new("RGB", (8, 8))), "no JPEG of at most 320 pixels"),
        (flat_jpeg("red", 2_000, 4), "no JPEG of at most 320 pixels"),
    ],
)
def test_import_of_an_exported_file_checks_each_image(image: bytes, message: str, repository: Repository) -> None:
    version = add_version(repository, references=references_zip({"0/1.jpg": RED, "1/1.jpg": image}))
    with pytest.raises(ImportRefused, match=f"references.zip cannot be used: .*{message}"):
        check_version_files(version.path, version.manifest)


def test_import_of_an_exported_file_accepts_usual_images(repository: Repository) -> None:
    version = add_version(repository, references=OF_ANIMALS)
    check_version_files(version.path, version.manifest)
    check_references(version.path / FILES["references"], len(ANIMALS))
