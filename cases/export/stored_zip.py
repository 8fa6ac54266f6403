"""A zip of files that are stored, not packed, always ZIP64. Its directory grows in a file, not in memory.

`zipfile` keeps some hundred bytes for each file until the end: 30 MiB of a case of 100 GiB in segments of ten seconds.
Source: PKWARE APPNOTE.TXT 6.3.10, 4.3.
"""

import binascii
import shutil
import struct
from typing import IO

_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_64 = struct.Struct("<2H2Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_CENTRAL_64 = struct.Struct("<2H3Q")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_VERSION = 45  # the first that knows ZIP64
_UNIX = 3
_UTF_8 = 0x800
_DAY_1980 = 0x21  # 1980-01-01, midnight: the same case gives the same bytes
_MODE = 0o100644
_ASK_64 = 0xFFFFFFFF  # "it stands in the ZIP64 part"
_COPIED_BYTES = 1 << 16


class StoredZip:
    """out: a file to write, at its beginning, which can be sought in. directory: an empty one to write and read."""

    def __init__(self, out: IO[bytes], directory: IO[bytes]) -> None:
        self._out = out
        self._directory = directory
        self._count = 0
        self._name = b""
        self._at = self._crc = self._size_bytes = 0

    def begin(self, name: str) -> None:
        """Raises: OSError."""
        self._name, self._at = name.encode(), self._out.tell()
        self._crc, self._size_bytes = 0, 0
        self._out.write(_local(self._name, 0, 0))

    def add(self, data: bytes) -> None:
        """More of the file that was begun. Raises: OSError."""
        self._crc = binascii.crc32(data, self._crc)
        self._size_bytes += len(data)
        self._out.write(data)

    def end(self) -> None:
        """Raises: OSError."""
        end = self._out.tell()
        self._out.seek(self._at)
        self._out.write(_local(self._name, self._crc, self._size_bytes))
        self._out.seek(end)
        self._directory.write(_central(self._name, self._crc, self._size_bytes, self._at))
        self._count += 1

    def finish(self) -> None:
        """Write the directory behind the files. Raises: OSError."""
        at, size_bytes = self._out.tell(), self._directory.tell()
        self._directory.seek(0)
        shutil.copyfileobj(self._directory, self._out, _COPIED_BYTES)
        made = _VERSION | _UNIX << 8
        self._out.write(
            _END_64.pack(
                b"PK\6\6", _END_64.size - 12, made, _VERSION, 0, 0, self._count, self._count, size_bytes, at
            )
        )  # fmt: skip
        self._out.write(_LOCATOR_64.pack(b"PK\6\7", 0, at + size_bytes, 1))
        self._out.write(_END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, _ASK_64, _ASK_64, 0))


def _local(name: bytes, crc: int, size_bytes: int) -> bytes:
    head = _LOCAL.pack(
        b"PK\3\4", _VERSION, _UTF_8, 0, 0, _DAY_1980, crc, _ASK_64, _ASK_64, len(name), _LOCAL_64.size
    )  # fmt: skip
    return head + name + _LOCAL_64.pack(1, _LOCAL_64.size - 4, size_bytes, size_bytes)


def _central(name: bytes, crc: int, size_bytes: int, at: int) -> bytes:
    made = _VERSION | _UNIX << 8
    head = _CENTRAL.pack(
        b"PK\1\2", made, _VERSION, _UTF_8, 0, 0, _DAY_1980, crc, _ASK_64, _ASK_64, len(name), _CENTRAL_64.size,
        0, 0, 0, _MODE << 16, _ASK_64,
    )  # fmt: skip
    return head + name + _CENTRAL_64.pack(1, _CENTRAL_64.size - 4, size_bytes, size_bytes, at)
