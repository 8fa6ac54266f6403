"""Dashboard, alerts, /metrics and docs/operations.md speak of the same series."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.certificates import Authority
from tests.serving import Server

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BOARD = json.loads((ROOT / "configs/grafana/onrecord.json").read_text(encoding="utf-8"))
ALERTS_FILE = ROOT / "configs/prometheus/alerts.yaml"
ALERTS = [
    rule for group in yaml.safe_load(ALERTS_FILE.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
QUERIES += [each["query"]["query"] for each in BOARD["templating"]["list"] if each["type"] == "query"]
PROMETHEUS_OWN = {"up"}
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset", "instance"}


def series(expression: str) -> set[str]:
    """The names of series in a PromQL expression: identifiers that are no function, keyword or label."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', "", re.sub(r"=~?\"[^\"]*\"", "", expression))
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - _WORDS


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every series name a running server tells, with those of families that have no value yet."""
    folder = tmp_path_factory.mktemp("metrics")
    certificate, key = Authority().pair().write(folder)
    paths = {"ONRECORD_RTMP__TLS_CERTIFICATE": str(certificate), "ONRECORD_RTMP__TLS_KEY": str(key)}
    with Server(folder / "data", {**paths, "ONRECORD_RTMP__TLS_PORT": "0"}) as server:
        page = server.ask("/metrics", token="").body.decode()
    families = list(text_string_to_metric_families(page))
    names = {sample.name for family in families for sample in family.samples}
    names |= {family.name + ("_total" if family.type == "counter" else "") for family in families}
    return names


def test_the_reader_of_expressions_finds_names_only() -> None:
    assert series('sum by (door) (rate(a_total{x="b",y=~"c|d"}[5m])) > 0.5 and b_max == 1') == {"a_total", "b_max"}
    assert series("label_values(onrecord_record_failed, instance)") == {"onrecord_record_failed"}


@pytest.mark.parametrize("expression", [*QUERIES, *(rule["expr"] for rule in ALERTS)])
def test_an_expression_asks_for_series_that_a_running_server_tells(exported: set[str], expression: str) -> None:
    names = series(expression)
    assert names, expression
    assert names - exported - PROMETHEUS_OWN == set()


def test_every_series_of_ours_is_documented(exported: set[str]) -> None:
    ours = {name.removesuffix("_total") for name in exported if name.startswith("onrecord_")}
    assert len(ours) > 30
    assert {name for name in ours if f"`{name}`" not in PAGE} == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_a_summary_a_severity_and_a_section_that_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_panel_has_a_title_a_unit_and_a_place_of_its_own() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        taken = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        cells |= taken


def test_promtool_accepts_the_alerts() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    said = subprocess.run(["promtool", "check", "rules", str(ALERTS_FILE)], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
