"""The smallest models that sherpa-onnx takes for SenseVoice and Paraformer: their words mean nothing, their form does.

An ONNX file written by hand, because no package here writes one. Source: onnx.proto, fields by number.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

Value = tuple[str, int, Sequence[str | int]]
"""Name, kind (1 float, 6 int32), shape."""
WIDTH = 560
SIGNS = 30
_NORMS = {"neg_mean": ",".join(["0"] * WIDTH), "inv_stddev": ",".join(["0.1"] * WIDTH)}
_COMMON = {**_NORMS, "lfr_window_size": "7", "lfr_window_shift": "6", "vocab_size": str(SIGNS)}
_SENSE_VOICE = {
    **_COMMON,
    "model_type": "sense_voice_ctc",
    "normalize_samples": "0",
    "with_itn": "14",
    "without_itn": "15",
    **{f"lang_{name}": str(place) for place, name in enumerate(["auto", "zh", "en", "yue", "ja", "ko", "nospeech"])},
}


def write_sense_voice(folder: Path) -> None:
    """Each frame's sign is the strongest of its first features; four frames more than came, as the real one gives."""
    nodes = _slice("x", "first", "from", "four", "time") + _slice("x", "low", "from", "signs", "feature")
    nodes += _slice("first", "tags", "from", "signs", "feature")
    nodes += _node("Concat", ["tags", "low"], "logits", _text(1, "axis") + _number(3, 1) + _number(20, 2))
    inputs: list[Value] = [
        ("x", 1, ["N", "T", WIDTH]),
        ("x_length", 6, ["N"]),
        ("language", 6, ["N"]),
        ("text_norm", 6, ["N"]),
    ]
    _write(folder, nodes, inputs, [("logits", 1, ["N", "U", SIGNS])], _SENSE_VOICE)


def write_paraformer(folder: Path) -> None:
    nodes = _slice("speech", "logits", "from", "signs", "feature")
    nodes += _node("Identity", ["speech_lengths"], "token_num")
    inputs: list[Value] = [("speech", 1, ["N", "T", WIDTH]), ("speech_lengths", 6, ["N"])]
    outputs: list[Value] = [("logits", 1, ["N", "T", SIGNS]), ("token_num", 6, ["N"])]
    _write(folder, nodes, inputs, outputs, {**_COMMON, "model_type": "paraformer"})


def _write(
    folder: Path,
    nodes: bytes,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    metadata: Mapping[str, str],
) -> None:
    constants = {"from": 0, "four": 4, "signs": SIGNS, "time": 1, "feature": 2}
    graph = nodes + _text(2, "tiny")
    for name, value in constants.items():
        number = _number(1, 1) + _number(2, 7) + _text(8, name) + _bytes(9, value.to_bytes(8, "little"))
        graph += _bytes(5, number)
    graph += b"".join(_bytes(11, _value(*each)) for each in inputs)
    graph += b"".join(_bytes(12, _value(*each)) for each in outputs)
    model = _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 13))
    model += b"".join(_bytes(14, _text(1, key) + _text(2, value)) for key, value in metadata.items())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    signs = ["<blank>", "<s>", "</s>", "<unk>", *"您好请签字这是我们的执法证件出示一下在里不申行了"][:SIGNS]
    signs += [f"▁{place}" for place in range(SIGNS - len(signs))]
    (folder / "tokens.txt").write_text("".join(f"{sign} {place}\n" for place, sign in enumerate(signs)), "utf-8")


def _slice(given: str, made: str, start: str, end: str, axis: str) -> bytes:
    return _node("Slice", [given, start, end, axis], made)


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    inside = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)
    return _bytes(1, inside + (_bytes(5, attribute) if attribute else b""))


def _value(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side) if isinstance(side, int) else _text(2, side)) for side in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, sides)))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
