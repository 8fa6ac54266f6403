"""A probe is checked before anything is searched, and what is wrong is said without what was sent."""

import base64

import numpy as np
import pytest
from pydantic import ValidationError

from api.face_probes import MOST_SHOT_BYTES, ProbeIn, probe_of
from pipeline.errors import ValueRefused

VECTOR = np.asarray(np.eye(1, 128, 5)[0], "<f4")
JPEG = b"\xff\xd8\xff" + b"\0" * 40


def told(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def tree(**more: object) -> dict[str, object]:
    return {
        "stream_id": "st_1", "recording_id": "rec_1", "work_id": "live:st_1:faces", "track": 1, "first": True,
        "start_s": 1.0, "at_s": 2.0, "looks": 2, "model": "mobilefacenet@128", "detector": "scrfd-2.5g@1",
        "quality": 0.8, "vector": told(VECTOR.tobytes()), "shot": told(JPEG), **more,
    }  # fmt: skip


def test_a_probe_comes_across_whole() -> None:
    probe = probe_of(ProbeIn.model_validate(tree()))
    assert probe.vector == VECTOR.tobytes()
    assert (probe.shot, probe.track, probe.first, probe.model) == (JPEG, 1, True, "mobilefacenet@128")
    assert probe_of(ProbeIn.model_validate(tree(shot=""))).shot == b""


def changed(number: float) -> str:
    vector = VECTOR.copy()
    vector[7] = number
    return told(vector.tobytes())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vector", "no base64!"),
        ("vector", told(VECTOR.tobytes()[:-1])),
        ("vector", told(b"\0" * 512)),
        ("vector", changed(float("nan"))),
        ("vector", changed(float("inf"))),
        ("vector", changed(1.0)),
        ("vector", told(np.ones(4, "<f4").tobytes())),
        ("shot", "?"),
        ("shot", told(b"GIF89a")),
        ("at_s", 0.5),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueRefused) as refused:
        probe_of(ProbeIn.model_validate(tree(**{field: value})))
    assert refused.value.field == field
    assert "nan" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vector", "A" * 40_000),
        ("shot", "A" * (2 * MOST_SHOT_BYTES)),
        ("looks", 0),
        ("track", -1),
        ("quality", 1.5),
        ("quality", float("nan")),
        ("start_s", float("inf")),
        ("model", "a model"),
        ("stream_id", ""),
        ("mood", "happy"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ProbeIn.model_validate(tree(**{field: value}))


def test_nothing_of_a_face_is_in_what_a_log_could_show() -> None:
    sent = ProbeIn.model_validate(tree())
    assert told(VECTOR.tobytes()) not in repr(sent)
    assert told(JPEG) not in repr(sent)
