"""Run as `python -m api.doctor.codecs`: what libav lacks of what the program uses, as JSON. Holds libav, so a child."""

import json

import av

_NEEDED_FORMATS = {"mpegts", "mov", "flv"}
_NEEDED_DECODERS = {"h264", "mjpeg"}
_WANTED_DECODERS = {"hevc", "aac", "opus", "flac"}
_AV1 = {"libdav1d", "libaom-av1", "av1"}


def main() -> None:
    formats, codecs = set(av.formats_available), set(av.codecs_available)
    wanted = _WANTED_DECODERS - codecs | (set() if codecs & _AV1 else {"av1"})
    library = ".".join(map(str, av.library_versions["libavcodec"]))
    report = {
        "needed": sorted(_NEEDED_FORMATS - formats | _NEEDED_DECODERS - codecs),
        "wanted": sorted(wanted),
        "library": f"libavcodec {library}, PyAV {av.__version__}",
    }
    print(json.dumps(report))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
