"""What files are taken for: by their bytes, whatever they are called."""

import io
import zipfile
from pathlib import Path

import pytest

from cases.uploads.kinds import kind_of


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name in names:
            packed.writestr(name, b"x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind", "mime"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(20), "photo", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "photo", "image/png"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "photo", "image/heic"),
        (b"\0\0\0\x18ftypisom" + bytes(20), "video", "video/mp4"),
        (b"\0\0\0\x14ftypqt  " + bytes(20), "video", "video/quicktime"),
        (b"\0\0\0\x18ftypM4A " + bytes(20), "sound", "audio/mp4"),
        (b"\x1aE\xdf\xa3" + bytes(20), "video", "video/x-matroska"),
        ((b"G" + bytes(187)) * 4, "video", "video/mp2t"),
        ((bytes(4) + b"G" + bytes(187)) * 4, "video", "video/mp2t"),
        (b"RIFF\0\0\0\0WAVE" + bytes(20), "sound", "audio/wav"),
        (b"RIFF\0\0\0\0WEBP" + bytes(20), "photo", "image/webp"),
        (b"\xff\xfb\x90\0" + bytes(20), "sound", "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(20), "sound", "audio/aac"),
        (b"#!AMR\n" + bytes(20), "sound", "audio/amr"),
        (b"%PDF-1.7\n" + bytes(20), "document", "application/pdf"),
        (zipped("OFD.xml", "Doc_0/Document.xml"), "document", "application/ofd"),
        (zipped("[Content_Types].xml", "word/document.xml"), "document",
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("现场笔录\n".encode(), "text", "text/plain"),
        ("现场笔录\n".encode("gb18030"), "text", "text/plain"),
        (("长" * 30_000).encode(), "text", "text/plain"),
    ],
)  # fmt: skip
def test_a_file_is_what_its_bytes_say(tmp_path: Path, data: bytes, kind: str, mime: str) -> None:
    path = tmp_path / "setup.exe"
    path.write_bytes(data)
    found, why = kind_of(path)
    assert found is not None, why
    assert (found.kind, found.mime) == (kind, mime)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"MZ\x90\0" + bytes(60), "no video"),
        (b"\x7fELF" + bytes(60), "no video"),
        (bytes(64), "no video"),
        (zipped("a.exe"), "zip archives are not taken"),
        (zipped("OFD.xml")[:-10], "damaged"),
        (b"PK\x03\x04" + bytes(100), "damaged"),
    ],
)
def test_what_is_not_taken_says_why(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "照片.jpg"
    path.write_bytes(data)
    found, said = kind_of(path)
    assert found is None
    assert why in said


def test_a_document_of_a_great_many_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ofd"
    path.write_bytes(zipped("OFD.xml", *(f"{n}" for n in range(10_001))))
    assert "zip bomb" in kind_of(path)[1]


@pytest.mark.parametrize(
    ("declared", "may_be"),
    [("", True), ("image/png", True), ("image/jpeg", True), ("video/mp4", False), ("application/pdf", True)],
)
def test_a_sender_may_be_vague_and_not_wrong(tmp_path: Path, declared: str, may_be: bool) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    found, _ = kind_of(path)
    assert found is not None
    assert found.may_be(declared) is may_be
