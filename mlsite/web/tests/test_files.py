from io import BytesIO
from pathlib import Path

from mlsite.web.files import FilePart, FileWrapper


def test_names_the_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        assert FileWrapper(file).part([("Content-Length", "10")]) == FilePart(str(path), 0, 10)
        file.seek(3)
        assert FileWrapper(file).part([("content-length", "4")]) == FilePart(str(path), 3, 7)


def test_reads_what_is_no_file() -> None:
    wrapper = FileWrapper(BytesIO(b"0123456789"), block_size=4)
    assert wrapper.part([("Content-Length", "10")]) is None
    assert list(wrapper) == [b"0123", b"4567", b"89"]


def test_empty_file_has_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with path.open("rb") as file:
        assert FileWrapper(file).part([("Content-Length", "0")]) is None
