"""The files of operations: that they parse, and name what there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from friendli_endpoint.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\bFRIENDLI_ENDPOINT_([A-Z_]+)\b")
METRIC = re.compile(r"\bfriendli_\w+")

LISTED: dict[str, dict[str, Any]] = json.loads((DEPLOY / "metrics.json").read_text())
"""The endpoint's metrics by name: the one list of them."""


@pytest.fixture
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


@pytest.fixture
def panels() -> list[dict[str, Any]]:
    return list(json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"])


def series(name: str, kind: str) -> list[str]:
    """What Prometheus calls the series of a metric."""
    ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
    return [name + end for end in ends]


def expressions(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel["targets"]]


def mounted(compose: dict[str, Any], service: str) -> dict[str, Path]:
    """The files that a service sees of ours, by where it sees them."""
    volumes = (volume.split(":") for volume in compose["services"][service]["volumes"])
    return {inside: DEPLOY / ours for ours, inside, *_ in volumes if ours.startswith(".")}


def test_every_metric_listed_has_a_kind_that_prometheus_knows() -> None:
    for name, metric in LISTED.items():
        assert metric["type"] in ("counter", "gauge", "histogram")
        assert name.endswith("_total") == (metric["type"] == "counter")
        assert name.endswith("_seconds") == (metric["type"] == "histogram")


def test_the_dashboard_names_only_what_is_listed_and_all_of_it(
    panels: list[dict[str, Any]],
) -> None:
    known = {each: name for name, of in LISTED.items() for each in series(name, of["type"])}
    named = {each for expression in expressions(panels) for each in METRIC.findall(expression)}
    assert named <= known.keys()
    assert {known[each] for each in named} == LISTED.keys()


def test_the_dashboard_groups_by_labels_that_there_are(panels: list[dict[str, Any]]) -> None:
    grouped = 0
    for expression in expressions(panels):
        (name,) = METRIC.findall(expression)
        labels = LISTED.get(name, {"labels": ["le"]})["labels"]
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert set(group.split(", ")) <= set(labels)
            grouped += 1
    assert grouped


def test_the_panels_do_not_overlap(panels: list[dict[str, Any]]) -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_prometheus_scrapes_the_service_of_the_endpoint(compose: dict[str, Any]) -> None:
    path = mounted(compose, "prometheus")["/etc/prometheus/prometheus.yml"]
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert job["metrics_path"] == "/metrics"
    assert compose["services"][host]["build"]["dockerfile"] == "deploy/Dockerfile"
    assert f"EXPOSE {port}\n" in (DEPLOY / "Dockerfile").read_text()


def test_grafana_is_given_its_source_and_its_dashboard(
    compose: dict[str, Any], panels: list[dict[str, Any]]
) -> None:
    files = mounted(compose, "grafana")
    provisioning = files["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards/endpoint.yml").read_text())[
        "providers"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    shown = {str(Path(inside).parent): path for inside, path in files.items()}
    assert shown[provider["options"]["path"]].is_file()


def test_nothing_is_published_beyond_this_machine(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml"])
def test_only_settings_that_there_are_are_set(name: str) -> None:
    text = (DEPLOY / name).read_text()
    named = {variable.lower() for variable in VARIABLE.findall(text)}
    assert named
    assert named <= Settings.model_fields.keys()


def test_the_image_holds_the_model_that_make_installs() -> None:
    (pinned,) = re.findall(r"^MODEL := (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    assert f"--no-deps {pinned}\n" in (DEPLOY / "Dockerfile").read_text()


def test_the_image_gets_every_file_that_it_copies() -> None:
    allowed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.M)
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    assert {file for line in copied for file in line.split()} == set(allowed)
    assert all((ROOT / file).exists() for file in allowed)
