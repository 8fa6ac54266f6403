"""What a file is, by its bytes. Neither its name nor what the sender calls it decides.

Sources: the signatures of each format's own standard; ZIP: APPNOTE 6.3.10; OFD: GB/T 33190-2016 (a zip with OFD.xml).
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

_HEAD_BYTES = 65_536
_TS_PACKETS = ((188, 0), (192, 4))  # plain, and with four bytes of time before each packet
_MOST_ENTRIES = 10_000
_MOST_UNPACKED_BYTES = 4 << 30
_MOST_RATIO = 200
_PLAIN_SIGNS = frozenset(b"\t\n\r\f\x1b")


@dataclass(frozen=True, slots=True)
class FileKind:
    """kind: of the item it becomes. mime: what it is served as."""

    kind: str
    mime: str

    @property
    def is_media(self) -> bool:
        return self.kind in ("video", "sound")

    def may_be(self, declared: str) -> bool:
        """Whether a sender who called it `declared` (a media type; "": nothing) is not plainly wrong."""
        family, own = declared.partition("/")[0].lower(), self.mime.partition("/")[0]
        if family not in ("video", "audio", "image"):
            return True
        return family == own or (self.is_media and family != "image")


_STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"\xff\xd8\xff", FileKind("photo", "image/jpeg")),
    (b"\x89PNG\r\n\x1a\n", FileKind("photo", "image/png")),
    (b"GIF87a", FileKind("photo", "image/gif")),
    (b"GIF89a", FileKind("photo", "image/gif")),
    (b"II*\0", FileKind("photo", "image/tiff")),
    (b"MM\0*", FileKind("photo", "image/tiff")),
    (b"%PDF-", FileKind("document", "application/pdf")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("document", "application/x-ole-storage")),
    (b"\x1aE\xdf\xa3", FileKind("video", "video/x-matroska")),
    (b"FLV\x01", FileKind("video", "video/x-flv")),
    (b"\0\0\x01\xba", FileKind("video", "video/mp2p")),
    (b"fLaC", FileKind("sound", "audio/flac")),
    (b"OggS", FileKind("sound", "audio/ogg")),
    (b"#!AMR", FileKind("sound", "audio/amr")),
    (b"ID3", FileKind("sound", "audio/mpeg")),
)
_RIFF = {
    b"AVI ": FileKind("video", "video/x-msvideo"),
    b"WAVE": FileKind("sound", "audio/wav"),
    b"WEBP": FileKind("photo", "image/webp"),
}
_BRANDS = {
    b"heic": FileKind("photo", "image/heic"),
    b"heix": FileKind("photo", "image/heic"),
    b"mif1": FileKind("photo", "image/heif"),
    b"msf1": FileKind("photo", "image/heif"),
    b"avif": FileKind("photo", "image/avif"),
    b"M4A ": FileKind("sound", "audio/mp4"),
    b"qt  ": FileKind("video", "video/quicktime"),
}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_PACKED = (
    ("OFD.xml", FileKind("document", "application/ofd")),
    ("word/document.xml", FileKind("document", f"{_OFFICE}.wordprocessingml.document")),
    ("xl/workbook.xml", FileKind("document", f"{_OFFICE}.spreadsheetml.sheet")),
    ("ppt/presentation.xml", FileKind("document", f"{_OFFICE}.presentationml.presentation")),
)
_TEXT = FileKind("text", "text/plain")


def kind_of(path: Path) -> tuple[FileKind | None, str]:
    """What the file is; or None, and why it is not taken. Raises: OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind, ""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], FileKind("video", "video/mp4")), ""
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]], ""
    if head.startswith(b"PK\x03\x04"):
        return _packed(path)
    if _is_transport_stream(head):
        return FileKind("video", "video/mp2t"), ""
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return FileKind("sound", "audio/aac" if head[1] & 0xF6 == 0xF0 else "audio/mpeg"), ""
    if _is_text(head):
        return _TEXT, ""
    return None, "it is no video, sound, photo, PDF, OFD, office document or text that we know"


def _packed(path: Path) -> tuple[FileKind | None, str]:
    """Only the directory of the zip is read; nothing is unpacked."""
    try:
        with zipfile.ZipFile(path) as packed:
            entries = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return None, "the document is damaged: its directory cannot be read"
    unpacked = sum(each.file_size for each in entries)
    if len(entries) > _MOST_ENTRIES or unpacked > _MOST_UNPACKED_BYTES or unpacked > _MOST_RATIO * _size(path):
        return None, "the document unpacks to far more than it is (a zip bomb)"
    names = {each.filename for each in entries}
    for name, kind in _PACKED:
        if name in names:
            return kind, ""
    return None, "zip archives are not taken; send the files that are in it"


def _size(path: Path) -> int:
    return max(path.stat().st_size, _HEAD_BYTES)


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > 2 * step + before and all(head[before + step * n] == 0x47 for n in range(3))
        for step, before in _TS_PACKETS
    )


def _is_text(head: bytes) -> bool:
    if any(sign < 0x20 and sign not in _PLAIN_SIGNS for sign in head):
        return False
    for encoding in ("utf-8", "gb18030"):
        for cut in range(4):  # a sign may be cut at the end of what was read
            try:
                head[: len(head) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            return True
    return False
