"""Run as `python -m api.doctor.accelerator`: how many CUDA devices CTranslate2 sees, as JSON. A driver may end it."""

import json

import ctranslate2  # type: ignore[import-untyped] # it comes without types


def main() -> None:
    report = {"cuda": ctranslate2.get_cuda_device_count(), "library": ctranslate2.__version__}
    print(json.dumps(report))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
