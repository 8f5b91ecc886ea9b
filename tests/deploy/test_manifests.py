"""The manifests hold to their schemas, and to the settings that they name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = KUBERNETES / "kustomization.yaml"
MANIFESTS = sorted(set(KUBERNETES.glob("*.yaml")) - {KUSTOMIZATION})
COMPOSE_FILE = ROOT / "deploy" / "compose.yaml"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest_is_valid(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_kustomization_takes_every_manifest() -> None:
    # Its schema is not among those of the cluster's own kinds.
    stated = yaml.safe_load(KUSTOMIZATION.read_text())
    assert set(stated) == {"apiVersion", "kind", "resources"}
    assert stated["resources"] == [path.name for path in MANIFESTS]


def test_selectors_find_the_pods() -> None:
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    read = {path.stem: yaml.safe_load(path.read_text())["spec"] for path in MANIFESTS}
    assert read["deployment"]["selector"]["matchLabels"] == labels
    assert read["service"]["selector"] == labels
    assert read["disruption-budget"]["selector"]["matchLabels"] == labels
    assert read["network-policy"]["podSelector"]["matchLabels"] == labels
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    assert read["service"]["ports"][0]["targetPort"] == port["name"]
    assert read["network-policy"]["ingress"][0]["ports"][0]["port"] == port["containerPort"]


def test_every_kind_is_there() -> None:
    kinds = {yaml.safe_load(path.read_text())["kind"] for path in MANIFESTS}
    assert kinds == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }


def deployment() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        (ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text()
    )
    return found


def test_pod_runs_one_process_without_rights() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["GRADIENT_WORKERS"] == "1"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {"requests", "limits"} <= container["resources"].keys()


def test_grace_period_covers_the_drain() -> None:
    settings = Settings.defaults()
    pod = deployment()["spec"]["template"]["spec"]
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    drain = float(environment["GRADIENT_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > drain + settings.shutdown_seconds
    needed = settings.drain_seconds + settings.shutdown_seconds
    assert int(COMPOSE["services"]["gradient"]["stop_grace_period"].removesuffix("s")) > needed


def test_named_variables_are_settings() -> None:
    text = "".join(path.read_text() for path in [*MANIFESTS, COMPOSE_FILE, ROOT / "Dockerfile"])
    named = {name.lower() for name in re.findall(r"GRADIENT_([A-Z_]+[A-Z])", text)}
    assert named
    assert named <= Settings.model_fields.keys()


def test_compose_file_is_valid() -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", COMPOSE_FILE),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_has_the_service_and_its_store() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"gradient", "postgres", "prometheus", "grafana"}
    assert services["gradient"]["read_only"] is True
    assert services["gradient"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["gradient"]["environment"]["DATABASE_URL"].startswith("postgresql://")
    for name in ("gradient", "postgres"):
        assert services[name]["healthcheck"]["test"][0].startswith("CMD")
    for one in services.values():
        for volume in one.get("volumes", ()):
            source = volume.partition(":")[0]
            named = source in COMPOSE["volumes"]
            assert named or (COMPOSE_FILE.parent / source).exists(), f"{source} is not there"
        image = one["image"]
        assert re.search(r":v?\d+\.\d+", image), f"{image} is not pinned"
