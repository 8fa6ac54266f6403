"""Load generators as children of a bench: a module, a plan as JSON on its stdin, a report as JSON on its stdout."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.errors import WorkerFailed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Child:
    """A running generator."""

    def __init__(self, module: str, plan: "DataclassInstance") -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if self._process.stdin is None:
            raise WorkerFailed(f"{module} has no input")
        self._process.stdin.write(json.dumps(asdict(plan)).encode())
        self._process.stdin.close()
        self._process.stdin = None

    def report(self, timeout_s: float) -> dict[str, Any]:  # its shape is the generator's dataclass
        """What it says at its end.

        Raises: WorkerFailed: it died, or took longer than timeout_s.
        """
        try:
            out, error = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            self.stop()
            raise WorkerFailed(f"{self._module} took longer than {timeout_s:.0f} s") from late
        if self._process.returncode:
            raise WorkerFailed(f"{self._module} ended with {self._process.returncode}: {error.decode()[-300:]}")
        report: dict[str, Any] = json.loads(out)
        return report

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
