"""What a process does that may hold what nobody else may see: it leaves nothing of its memory behind."""

import json
import subprocess
import sys

import pytest

_SAID = """
import ctypes, json, resource
from pipeline import jail
jail.{how}
print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]))
"""  # 3: PR_GET_DUMPABLE


@pytest.mark.parametrize("how", ["stay_private()", "limit(1 << 31)"])
def test_no_core_is_dumped_to_a_file_or_to_a_program(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", _SAID.format(how=how)], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[0, 0], 0]
