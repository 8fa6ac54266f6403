"""Programs of others that tests use; a test that needs one that is not there skips aloud."""

import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip, with the names, unless every program is on PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)} (make system)")
