"""multipart/form-data as browsers send it; what is none is refused, whatever its bytes are."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.form import Part, is_form, parts_of
from pipeline.errors import ValueRefused

KIND = "multipart/form-data; boundary=----WebKitFormBoundaryAbC123"
MARK = b"------WebKitFormBoundaryAbC123"


def body(*parts: tuple[bytes, bytes]) -> bytes:
    sent = b"".join(MARK + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return sent + MARK + b"--\r\n"


def field(name: str, filename: str = "") -> bytes:
    more = f'; filename="{filename}"\r\nContent-Type: image/jpeg' if filename else ""
    return f'Content-Disposition: form-data; name="{name}"{more}'.encode()


def test_fields_and_files_come_in_their_order_with_their_own_bytes() -> None:
    raw = bytes(range(256)) * 3 + b"\r\n--\r\n"
    sent = body((field("name"), "张三".encode()), (field("photos", "a.jpg"), raw), (field("photos", "b.jpg"), b""))
    assert parts_of(KIND, sent) == [
        Part("name", False, "张三".encode()), Part("photos", True, raw), Part("photos", True, b""),
    ]  # fmt: skip
    assert is_form(KIND)
    assert not is_form("application/json")


def test_a_files_name_is_not_its_fields_name() -> None:
    head = b'Content-Disposition: form-data; filename="name=\\"x\\""; name="photos"'
    assert parts_of(KIND, body((head, b"y"))) == [Part("photos", True, b"y")]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("multipart/form-data", body((field("a"), b"x"))),
        (KIND, b""),
        (KIND, body((field("a"), b"x"))[:-6]),
        (KIND, body((b"Content-Type: text/plain", b"x"))),
        (KIND, MARK + b"\r\nno end of head" + MARK + b"--"),
        (KIND, body(*[(field("a"), b"x")] * 33)),
        (KIND, body((field("a") + b"x" * 3000, b"x"))),
    ],
)
def test_what_is_no_form_is_refused(kind: str, sent: bytes) -> None:
    with pytest.raises(ValueRefused):
        parts_of(kind, sent)


@given(st.binary(max_size=300), st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_break_it(raw: bytes, pieces: list[bytes]) -> None:
    for sent in (raw, MARK.join(pieces), MARK + b"\r\n" + raw + b"\r\n" + MARK + b"--"):
        with contextlib.suppress(ValueRefused):
            parts_of(KIND, sent)
