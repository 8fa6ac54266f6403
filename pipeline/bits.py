"""A cursor over the bits of a decoder configuration. Knows no codec."""

from pipeline.errors import CodecUnsupported

_LONGEST_CODE = 32  # bits after the zeros of an exp-Golomb code


class Bits:
    """Raises: CodecUnsupported: the record, called `name`, ends early."""

    def __init__(self, data: bytes, name: str) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = len(data) * 8
        self._at = 0
        self._name = name

    @property
    def left(self) -> int:
        return self._size - self._at

    def u(self, size: int) -> int:
        self._at += size
        if self._at > self._size:
            raise CodecUnsupported(f"the {self._name} ends early")
        return self._value >> (self._size - self._at) & ((1 << size) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self) -> int:
        """An unsigned exp-Golomb code, at most 32 bits."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise CodecUnsupported(f"the {self._name} holds an exp-Golomb code longer than 32 bits")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
