"""The manifests hold to their schemas, and to the settings that they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest_is_valid(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(document, "1.33", strict=True)


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
    needed = settings.drain_seconds + settings.shutdown_seconds
    assert deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed
    assert int(COMPOSE["services"]["gradient"]["stop_grace_period"].removesuffix("s")) > needed


def test_named_variables_are_settings() -> None:
    text = "".join(path.read_text() for path in [*MANIFESTS, ROOT / "Dockerfile"])
    text += (ROOT / "deploy" / "compose.yaml").read_text()
    named = {name.lower() for name in re.findall(r"GRADIENT_([A-Z_]+)", text)}
    assert named
    assert named <= Settings.model_fields.keys()


def test_compose_has_the_service_and_its_store() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"gradient", "postgres"}
    assert services["gradient"]["read_only"] is True
    assert services["gradient"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["gradient"]["environment"]["DATABASE_URL"].startswith("postgresql://")
    for one in services.values():
        image = one["image"]
        assert re.search(r":\d+\.\d+", image), f"{image} is not pinned"
