"""Checks that the deployment files parse and name existing settings, metrics and files."""

import json
import re
import tomllib
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from friendli_endpoint.engine.remote.ray.deployment import DEPLOYMENT
from friendli_endpoint.ray_app import WITHOUT_EFFECT
from friendli_endpoint.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\bFRIENDLI_ENDPOINT_([A-Z_]+)\b")
METRIC = re.compile(r"\bfriendli_\w+")

LISTED: dict[str, dict[str, Any]] = json.loads((DEPLOY / "metrics.json").read_text())
"""The endpoint's metrics by name, each with its type and labels."""


@pytest.fixture
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


@pytest.fixture
def panels() -> list[dict[str, Any]]:
    return list(json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"])


def series(name: str, kind: str) -> list[str]:
    """Returns the names of the Prometheus series of a metric."""
    ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
    return [name + end for end in ends]


def expressions(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel["targets"]]


def mounted(compose: dict[str, Any], service: str) -> dict[str, Path]:
    """Returns the mounted files of this folder by their path inside the container."""
    volumes = (volume.split(":") for volume in compose["services"][service]["volumes"])
    return {target: DEPLOY / source for source, target, *_ in volumes if source.startswith(".")}


def test_every_listed_metric_has_the_name_suffix_of_its_prometheus_type() -> None:
    for name, metric in LISTED.items():
        assert metric["type"] in ("counter", "gauge", "histogram")
        assert name.endswith("_total") == (metric["type"] == "counter")
        assert name.endswith("_seconds") == (metric["type"] == "histogram")


def test_the_dashboard_uses_exactly_the_listed_metrics(
    panels: list[dict[str, Any]],
) -> None:
    known = {
        series_name: name
        for name, metric in LISTED.items()
        for series_name in series(name, metric["type"])
    }
    used = {name for expression in expressions(panels) for name in METRIC.findall(expression)}
    assert used <= known.keys()
    assert {known[name] for name in used} == LISTED.keys()


def test_the_dashboard_groups_by_existing_labels(panels: list[dict[str, Any]]) -> None:
    grouped = 0
    for expression in expressions(panels):
        (name,) = METRIC.findall(expression)
        labels = LISTED.get(name, {"labels": ["le"]})["labels"]
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert set(group.split(", ")) <= set(labels)
            grouped += 1
    assert grouped


def test_panels_have_distinct_positions_and_ids(panels: list[dict[str, Any]]) -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_prometheus_scrapes_the_endpoint_service(compose: dict[str, Any]) -> None:
    path = mounted(compose, "prometheus")["/etc/prometheus/prometheus.yml"]
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert job["metrics_path"] == "/metrics"
    assert compose["services"][host]["build"]["dockerfile"] == "deploy/Dockerfile"
    assert f"EXPOSE {port}\n" in (DEPLOY / "Dockerfile").read_text()


def test_grafana_is_provisioned_with_the_data_source_and_the_dashboard(
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
    folders = {str(Path(target).parent): path for target, path in files.items()}
    assert folders[provider["options"]["path"]].is_file()


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml"])
def test_only_existing_settings_are_set(name: str) -> None:
    text = (DEPLOY / name).read_text()
    used = {variable.lower() for variable in VARIABLE.findall(text)}
    assert used
    assert used <= Settings.model_fields.keys()


def test_the_image_pins_the_same_model_as_the_makefile() -> None:
    (pinned,) = re.findall(r"^MODEL := (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    assert f"--no-deps {pinned}\n" in (DEPLOY / "Dockerfile").read_text()


def test_the_build_context_holds_exactly_the_copied_files() -> None:
    allowed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.M)
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    assert {file for line in copied for file in line.split()} == set(allowed)
    assert all((ROOT / file).exists() for file in allowed)


# ── exact versions and limits ────────────────────────────────────────────────────────────────

IMAGE = {"python_version": "3.11", "sys_platform": "linux"}
"""Environment of the image, as far as requirements depend on it."""


def pins() -> dict[str, str]:
    """Returns the version of each constraint by name."""
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    found = [re.fullmatch(r"([a-z0-9-]+)==([\w.]+)", line) for line in lines]
    assert all(found), "a line is not NAME==VERSION"
    assert lines == sorted(set(lines))
    return {pin[1]: pin[2] for pin in found if pin is not None}


def installed_with(name: str, extras: frozenset[str], found: dict[str, list[Requirement]]) -> None:
    """Adds the requirements of a distribution and of all that it needs, by name."""
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({**IMAGE, "extra": extra}) for extra in extras):
            continue
        known = found.setdefault(canonicalize_name(requirement.name), [])
        if str(requirement) not in map(str, known):
            known.append(requirement)
            installed_with(requirement.name, frozenset({"", *requirement.extras}), found)


def test_every_package_of_the_image_has_an_exact_version_that_its_users_allow() -> None:
    required: dict[str, list[Requirement]] = {}
    installed_with("friendli-dedicated", frozenset({"", "endpoint"}), required)
    assert len(required) > 20
    versions = pins()
    assert required.keys() - versions.keys() == set()
    # Only the requirements of this project hold for any version of the other packages.
    for text in metadata.requires("friendli-dedicated") or ():
        requirement = Requirement(text)
        pinned = versions.get(canonicalize_name(requirement.name))
        assert pinned is None or requirement.specifier.contains(pinned), requirement


def test_every_installation_of_the_image_has_exact_versions() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    installations = re.findall(r"pip install ([^&\n]+)", text)
    assert len(installations) == 3
    for arguments in installations:
        assert "--constraint" in arguments or ("--no-deps" in arguments and "==" in arguments)
    assert "--no-build-isolation" in text
    build = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))
    for text in build["build-system"]["requires"]:
        assert Requirement(text).name in pins()
        assert Requirement(text).name in installations[0]


def test_every_service_has_limits_of_processors_and_memory(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits["cpus"] and limits["memory"], name
    endpoint = compose["services"]["endpoint"]
    threads = endpoint["environment"]["FRIENDLI_ENDPOINT_THREADS"]
    assert threads == endpoint["deploy"]["resources"]["limits"]["cpus"]


def test_the_page_on_security_names_everybody_and_how_to_report() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    for subject in (
        "operator", "token", "admin token", "browser", "model file", "chat template",
        "adapter file", "network",
    ):  # fmt: skip
        assert re.search(rf"^\| [^|]*{subject}", text, re.M), subject
    assert "security advisories" in text
    for page in ("README.md", "docs/security.md"):
        assert "SECURITY.md)" in (ROOT / page).read_text()


def test_no_variable_of_a_client_is_read() -> None:
    """People have exported FRIENDLI_TOKEN with the token of another service."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{?(\w+)", text))
    assert read == {"FRIENDLI_ENDPOINT_TOKENS", "ENDPOINT_CPUS", "ENDPOINT_MEMORY"}
    page = (DEPLOY.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in read)


def ray_applications() -> list[dict[str, Any]]:
    """Returns the applications of the configurations for Ray Serve."""
    service = yaml.safe_load((DEPLOY / "ray" / "rayservice.yaml").read_text())
    configs = ((DEPLOY / "ray" / "serve.yaml").read_text(), service["spec"]["serveConfigV2"])
    return [found for config in configs for found in yaml.safe_load(config)["applications"]]


def test_applications_for_ray_serve_name_a_builder_and_existing_settings() -> None:
    applications = ray_applications()
    assert len(applications) == 2
    for application in applications:
        module, _, function = application["import_path"].partition(":")
        assert function in import_module(module).__all__
        assert not set(application["args"]) & set(WITHOUT_EFFECT)
        assert Settings(**application["args"]).threads
        names = {deployment["name"] for deployment in application["deployments"]}
        assert names == {DEPLOYMENT, "chat"}
