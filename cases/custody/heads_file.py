"""The signed heads of the log as they lie on the disk, one behind the other."""

import json
import os
from pathlib import Path

from cases.custody import checkpoint
from cases.custody.checkpoint import SignedHead
from pipeline.errors import EvidenceError, StorageError

FILE = "heads.jsonl"
_LAST_BYTES = 8192  # more than a line, and what is torn of another one


class HeadsFile:
    """`{data}/custody/heads.jsonl`: one `{"note": …}` a line. A torn last line was never told, and is cut."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def read(self) -> list[SignedHead]:
        """Oldest first. Raises: EvidenceError: a line is no head. StorageError."""
        return [_parse(line) for line in self._lines()]

    def newest(self) -> SignedHead | None:
        """The last one, without reading those before. Raises: EvidenceError: the last line is no head. StorageError."""
        try:
            with self._path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _LAST_BYTES))
                *_, last = (b"\n" + file.read()).rpartition(b"\n")[0].split(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror})") from error
        return _parse(last) if last else None

    def read_what_can_be(self) -> tuple[list[SignedHead], list[str]]:
        """The heads, and what is wrong with each line that is none. Raises: StorageError."""
        found, wrong = [], []
        for number, line in enumerate(self._lines(), 1):
            try:
                found.append(_parse(line))
            except EvidenceError as error:
                wrong.append(f"line {number}: {error}")
        return found, wrong

    def _lines(self) -> list[bytes]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror})") from error
        return raw.split(b"\n")[:-1]

    def append(self, signed: SignedHead) -> None:
        """On the medium when it returns. Raises: StorageError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            with self._path.open("a+b") as file:
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
                file.write(json.dumps({"note": signed.note()}, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written ({error.strerror}); free space or mend it") from error


def _parse(line: bytes) -> SignedHead:
    try:
        tree = json.loads(line)
    except ValueError as error:
        raise EvidenceError(f"{FILE} holds a line that is no JSON") from error
    if not isinstance(tree, dict) or tree.keys() != {"note"} or not isinstance(tree["note"], str):
        raise EvidenceError(f"{FILE} holds a line that is no head")
    return checkpoint.parse(tree["note"])
