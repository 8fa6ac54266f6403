"""What must never be here: broad excepts, mocks, unbounded queues, loose tasks, registries, large files, dead links."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("pipeline", "models", "cases", "api")
MAX_FILE_BYTES = 1 << 20
MEDIA_AND_MODELS = {".mp4", ".m4s", ".mkv", ".flv", ".wav", ".onnx", ".pt", ".safetensors", ".gguf"}
LARGE = {
    "models/weights/whisper-demo-zh/model.bin": "the demo's speech model, so that words are heard without any download",
    "pipeline/simulate/voices/scene.flac": "the sound of the demo: 77.5 s of synthetic speech, lossless",
}
"""Files that may be large, each with the reason."""
UNBOUNDED = {
    "pipeline/simulate/device.py": "orders of the fleet's schedule to a simulated device, a few a minute",
}
"""Files that may use a queue without a bound, each with the reason."""

_BOUNDED_QUEUES = {"Queue", "LifoQueue", "PriorityQueue", "JoinableQueue"}
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def files() -> list[Path]:
    """The repository's files: those git has or would add."""
    asked = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        said = subprocess.run(asked, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout", allow_module_level=True)
    paths = {ROOT / name for name in said.decode().split("\0") if name}
    return sorted(path for path in paths if path.is_file())


FILES = files()
TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES if path.suffix == ".py"
}


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    """(file:line, node) of all Python under these folders; of everything where none is given."""
    for name, tree in TREES.items():
        if not folders or name.split("/")[0] in folders:
            for node in ast.walk(tree):
                yield f"{name}:{getattr(node, 'lineno', 0)}", node


def imported(node: ast.AST) -> set[str]:
    """The full names that an import statement brings in."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def called(node: ast.AST) -> str:
    """`a.b.c` for the call a.b.c(…), a.b().c(…) or a.b.c[T](…); empty where it is no call of a name."""
    if not isinstance(node, ast.Call):
        return ""
    words = []
    at: ast.expr = node.func
    while not isinstance(at, ast.Name):
        match at:
            case ast.Attribute():
                words.append(at.attr)
                at = at.value
            case ast.Call():
                at = at.func
            case ast.Subscript():
                at = at.value
            case _:
                return ""
    return ".".join(reversed([*words, at.id]))


def test_nobody_uses_mocks() -> None:
    found = [place for place, node in nodes() if any(n.startswith(("unittest", "mock")) for n in imported(node))]
    assert found == []


def test_nobody_catches_every_exception() -> None:
    """A handler for everything that only puts things right and raises again is not one that catches."""
    found = []
    for place, node in nodes(*CODE, "scripts", "tests"):
        if isinstance(node, ast.ExceptHandler):
            raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            broad = node.type is None or bool(names_of(node.type) & {"Exception", "BaseException"})
            if broad and not raises_again and not place.startswith("pipeline/supervise.py:"):
                found.append(place)
        elif isinstance(node, ast.Call) and called(node).endswith("suppress"):
            found += [place for argument in node.args if names_of(argument) & {"Exception", "BaseException"}]
    assert found == []


def names_of(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def test_every_queue_has_a_bound() -> None:
    found = []
    for place, node in nodes(*CODE, "tests"):
        if not isinstance(node, ast.Call) or place.rpartition(":")[0] in UNBOUNDED:
            continue
        name = called(node).rpartition(".")[2]
        size = [
            *node.args,
            *(keyword.value for keyword in node.keywords if keyword.arg in ("maxsize", "max_buffer_size")),
        ]
        is_none = not size or (isinstance(size[0], ast.Constant) and size[0].value in (0, None))
        is_endless = bool(size) and "inf" in ast.unparse(size[0])
        if (
            name == "SimpleQueue"
            or (name in _BOUNDED_QUEUES and is_none)
            or (name == "create_memory_object_stream" and is_endless)
        ):
            found.append(place)
    assert found == []


def test_no_task_runs_outside_a_group() -> None:
    loose = {"asyncio.create_task", "asyncio.ensure_future", "create_task", "ensure_future"}
    loose |= {f"{loop}.create_task" for loop in ("loop", "asyncio.get_running_loop", "asyncio.get_event_loop")}
    assert [place for place, node in nodes("pipeline", "api", "cases") if called(node) in loose] == []


def test_the_import_contract_holds() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed")
    said = subprocess.run([str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stdout


def test_the_lock_files_name_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    options = ("--index-url", "--extra-index-url", "--find-links", "--trusted-host", "://", " @ ")
    assert [option for option in options if option in lock] == []
    web = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, entry in web.items() if "resolved" in entry] == []
    assert "registry=" not in (ROOT / "web/.npmrc").read_text(encoding="utf-8")


def test_every_locked_package_has_a_hash() -> None:
    rows = re.split(r"^(?=\S+==)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [row.split()[0] for row in rows if "--hash=sha256:" not in row] == []
    web = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, entry in web.items() if name and "integrity" not in entry] == []


def test_no_file_is_large_and_none_is_media_or_a_model() -> None:
    large = [name for path in FILES if path.stat().st_size >= MAX_FILE_BYTES and (name := _name(path)) not in LARGE]
    wrong = [_name(path) for path in FILES if path.suffix.lower() in MEDIA_AND_MODELS]
    assert large + wrong == []


def test_every_exception_for_a_large_file_is_still_needed() -> None:
    assert [name for name in LARGE if (ROOT / name).stat().st_size < MAX_FILE_BYTES] == []


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [path for path in FILES if path.suffix == ".md"], ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in _LINK.findall(text) if not link.startswith(("http://", "https://", "mailto:", "#"))]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []


def test_every_metric_is_explained() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    names = set(re.findall(r'"(onrecord_\w+)"', (ROOT / "api/metrics.py").read_text(encoding="utf-8")))
    assert {name for name in names if f"`{name}" not in page} == set()
