"""THIRD_PARTY.md names every locked package with its version and its licence, and none that is gone."""

import re
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import third_party

PAGE = third_party.PAGE.read_text(encoding="utf-8")
ROWS = {
    (match[1], match[2]): match[3] for match in re.finditer(r"^\| (\S+) \| (\S+) \| ([^|]+) \|", PAGE, re.MULTILINE)
}
PYTHON = set(third_party.locked().items())
WEB = {(package.name, package.version) for package, _ in third_party.web_packages()}


def test_every_locked_package_is_named_and_none_that_is_gone() -> None:
    named = {key for key in ROWS if key != ("package", "version")}
    assert named == PYTHON | WEB, "run python scripts/third_party.py --write"


def test_the_lock_holds_what_the_oldest_python_needs_too() -> None:
    """It is made on one Python, and pip-compile leaves out what only another one needs."""
    oldest = {"python_version": "3.11", "python_full_version": "3.11.0", "extra": ""}
    locked = {canonicalize_name(name) for name, _ in PYTHON}
    missing = {
        (name, str(wanted))
        for name, _ in PYTHON
        for wanted in map(Requirement, requires(name) or ())
        if (wanted.marker is None or wanted.marker.evaluate(oldest)) and canonicalize_name(wanted.name) not in locked
    }
    assert {name for name, wanted in missing if not wanted.startswith("opencv-python")} == set()  # left out: Makefile


@pytest.mark.parametrize("licence", ["unknown", "not installed on this system", ""])
def test_every_licence_is_known(licence: str) -> None:
    assert [key for key, said in ROWS.items() if said.strip() == licence] == []


def test_what_the_program_needs_stands_first_and_development_only_after_it() -> None:
    needed, _, development = PAGE.partition("## Python packages for development only")
    for name in ("anyio", "av", "cryptography", "fastapi", "numpy", "uvicorn", "websockets", "vue"):
        assert f"| {name} |" in needed
        assert f"| {name} |" not in development


@pytest.mark.parametrize("package", ["av", "opencv-python-headless"])
def test_the_page_names_every_library_that_a_wheel_with_ffmpeg_carries(package: str) -> None:
    held = set(third_party.wheel_libraries(package))
    if not held:
        pytest.skip(f"this {package} was built without bundled libraries")
    assert {library for library in held if f"| {library} |" not in PAGE} == set()
    assert "not looked up" not in PAGE
