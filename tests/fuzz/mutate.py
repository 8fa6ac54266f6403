"""Good bytes made bad: a few random edits of a seed, the same ones for the same chance. Knows no format."""

import random
from collections.abc import Sequence

MAX_BYTES = 1 << 16  # of an input: larger ones find nothing that these do not, and are slow
_MAX_EDITS = 6
_LENGTHS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """One of `seeds` after one to _MAX_EDITS edits. words: pieces of the format that an edit may put in."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, _MAX_EDITS)):
        edit = chance.choice(_EDITS)
        edit(data, chance, seeds)
        if words and chance.random() < 0.3:
            at = chance.randint(0, len(data))
            data[at : at + chance.choice((0, 1, 4))] = chance.choice(words)
    return bytes(data[:MAX_BYTES])


def _flip_bit(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_byte(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _truncate(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def _cut_out(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    del data[at : at + chance.randint(1, 64)]


def _insert(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.randbytes(chance.randint(1, 16))


def _duplicate(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = data[at : at + chance.randint(1, 200)] * chance.choice((1, 1, 2, 30))


def _splice(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


def _edit_length(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    """What may be a length field of 1 to 8 bytes gets a value that lengths go wrong at."""
    size = chance.choice((1, 2, 3, 4, 8))
    if len(data) < size:
        return
    at = chance.randrange(len(data) - size + 1)
    near = int.from_bytes(data[at : at + size], "big") + chance.choice((-1, 1))
    value = chance.choice((*_LENGTHS, near, len(data), len(data) - at))
    data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, chance.choice(("big", "big", "little")))


_EDITS = (_flip_bit, _flip_bit, _set_byte, _set_byte, _truncate, _cut_out, _insert, _duplicate, _splice, _edit_length,
          _edit_length)  # fmt: skip
