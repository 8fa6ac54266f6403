"""The settings as people read them, made from the model: the tables of docs/configuration.md and configs/onrecord.yaml.

`python scripts/settings_doc.py` prints both; with `--write` it brings both files up to date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402 - the path comes first
from annotated_types import Ge, Gt, Le, Lt  # noqa: E402
from pydantic import SecretStr  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from pipeline.settings import Section, Settings  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / "configs" / "onrecord.yaml"
BEGIN, END = "<!-- begin: scripts/settings_doc.py -->", "<!-- end: scripts/settings_doc.py -->"

_UNITS = {"_bytes": "bytes", "_per_minute": "per minute", "_s": "seconds"}
_UNITS |= {"max_width": "pixels", "max_height": "pixels", "max_viewers": "viewers", "max_connections": "connections"}
_MIB, _KIB = 1024 * 1024, 1024


def tables() -> str:
    """A heading and a table for each section of the settings."""
    parts = ["## The data folder\n\n" + _table("", {"data": Settings.model_fields["data"]})]
    for name, section in sections():
        parts.append(f"## `{name}`\n\n{_sentence(section)}\n\n" + _table(name, section.model_fields))
    return "\n".join(parts)


def example() -> str:
    """configs/onrecord.yaml: every setting with its default and what it means."""
    lines = [
        "# Every setting of OnRecord with its default. Copy this file, keep what you change, and start with",
        "# `onrecord serve --config FILE`. An environment name ONRECORD_SECTION__KEY overrides the file.",
        "# Made by scripts/settings_doc.py; docs/configuration.md says more.",
        "",
        *_yaml_lines("data", Settings.model_fields["data"], ""),
    ]
    for name, section in sections():
        lines += ["", f"# {_sentence(section)}", f"{name}:"]
        for key, field in section.model_fields.items():
            lines += _yaml_lines(key, field, "  ")
    return "\n".join(lines) + "\n"


def sections() -> Iterator[tuple[str, type[Section]]]:
    """The sections, in the order of the model."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield name, kind


def page_with(new: str, page: str) -> str:
    """`page` with `new` between its marks."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{new}\n{END}{rest.partition(END)[2]}"


def _table(section: str, fields: dict[str, FieldInfo]) -> str:
    rows = ["| setting | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
    for key, field in fields.items():
        name = f"{section}.{key}" if section else key
        unit, allowed = unit_of(key), _allowed(field)
        rows.append(f"| `{name}` | {shown(field.default, unit)} | {unit} | {allowed} | {field.description} |")
    return "\n".join(rows) + "\n"


def unit_of(key: str) -> str:
    """The unit that the last words of the name say; empty where it has none."""
    return next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")


def shown(default: Any, unit: str) -> str:
    """A default as the table shows it; sizes also in the larger unit."""
    if default == "":
        return "(empty)"
    larger = ""
    if unit == "bytes":
        larger = f" ({default // _MIB} MiB)" if default >= _MIB else f" ({default // _KIB} KiB)"
    return f"`{_scalar(default)}`{larger}"


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    words = []
    for rule in field.metadata:
        match rule:
            case Ge(ge=low):
                words.append(f"≥ {low}")
            case Gt(gt=low):
                words.append(f"> {low}")
            case Le(le=high):
                words.append(f"≤ {high}")
            case Lt(lt=high):
                words.append(f"< {high}")
    return ", ".join(words)


def _yaml_lines(key: str, field: FieldInfo, indent: str) -> list[str]:
    allowed = _allowed(field).replace("`", "")
    unit = unit_of(key)
    notes = "; ".join(note for note in (unit, allowed) if note)
    return [
        f"{indent}# {field.description}{f' [{notes}]' if notes else ''}",
        f"{indent}{key}: {_scalar(field.default)}",
    ]


def _scalar(value: Any) -> str:
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    value = str(value) if isinstance(value, Path) else value
    value = list(value) if isinstance(value, tuple) else value
    return (
        yaml.safe_dump(value, allow_unicode=True, default_flow_style=isinstance(value, list) or None)
        .removesuffix("\n")
        .removesuffix("\n...")
    )


def _sentence(section: type[Section]) -> str:
    return (section.__doc__ or "").strip()


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with(tables(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        EXAMPLE.write_text(example(), encoding="utf-8")
    else:
        print(tables())
        print(example(), end="")


if __name__ == "__main__":
    main()
