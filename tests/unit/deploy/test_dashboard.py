"""Dashboard and alerts: every figure that they name is one that the service exports, with those labels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from noyau.jobs.supervisor import WorkerStatus
from noyau.operations.gpu_figures import Gpu, GpuFigures
from noyau.operations.job_figures import _active_figures, _group_figures, families
from noyau.operations.service_figures import RpcFigures, WorkerFigures, new_registry
from noyau.operations.tally_figures import FIGURES
from prometheus_client.core import GaugeMetricFamily, Metric

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "noyau.json"
# What Prometheus knows by itself.
OWN = {"up": {"job", "instance"}}
EVERYWHERE = {"job", "instance", "le"}
WORDS = {"sum", "max", "min", "by", "or", "rate", "increase", "vector", "topk", "histogram_quantile"}


class OneGpu:
    """Stands for a machine that has one."""

    def look(self) -> tuple[Gpu, ...]:
        return (Gpu(0, "GPU", 2, 1, 0.5),)


def exported() -> dict[str, set[str]]:
    """Names of all series of a service with a GPU, and their labels."""
    registry = new_registry()
    rpcs = RpcFigures(registry)
    rpcs.seen("/noyau.v1.JobService/Get", "OK", 0.1)
    gpus: Any = OneGpu()
    status = WorkerFigures(lambda: [WorkerStatus(pid=1, restarts=0)])
    metrics: list[Metric] = [
        *registry.collect(),
        *status.collect(),
        *GpuFigures(gpus).collect(),
        *_active_figures([]),
        *_group_figures([]),
        *families([]),
        GaugeMetricFamily("noyau_job_store_up", "", 1),
    ]
    found: dict[str, set[str]] = {}
    for metric in metrics:
        labels = getattr(metric, "_labelnames", ())
        for suffix in ("", "_total", "_bucket", "_sum", "_count", "_info"):
            found.setdefault(metric.name + suffix, set()).update(labels)
        for sample in metric.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def kinds() -> dict[str, str]:
    """The one name that a series of each family has, by the way it may be asked for."""
    return {f"noyau_{name}": ("histogram" if figure.buckets else "counter") for name, figure in FIGURES.items()}


def panels() -> list[dict[str, Any]]:
    document = json.loads(DASHBOARD.read_text())
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Where it stands, and what it asks."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def names_in(expression: str) -> set[str]:
    """Names of series: words outside of braces, brackets and label lists that are no functions."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", " ", expression)
    return {word for word in re.findall(r"[a-z_][a-z0-9_]*", bare) if word not in WORDS}


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_figure_exists_with_its_labels(where: str, expression: str) -> None:
    known = {**exported(), **OWN}
    names = names_in(expression)
    assert names, where
    assert names <= set(known), f"{where}: {names - set(known)} are exported by nobody"
    for name in names:
        kind = kinds().get(re.sub(r"_(total|bucket|sum|count)$", "", name))
        suffix = name.rpartition("_")[2]
        assert kind != "counter" or suffix == "total", f"{where}: {name} ends in _total when it is scraped"
        assert kind != "histogram" or suffix in ("bucket", "sum", "count"), where
    labels = {label for name in names for label in known[name]} | EVERYWHERE
    used = {word for part in re.findall(r"by \(([^)]*)\)", expression) for word in part.split(", ")}
    used |= set(re.findall(r"\{([a-z_]+)=", expression))
    assert used <= labels, f"{where}: {used - labels}"


def test_legends_name_labels_that_remain() -> None:
    known = {**exported(), **OWN}
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            groups = re.findall(r"by \(([^)]*)\)", expression)
            remain = set(groups[0].split(", ")) if groups else set().union(*(known[n] for n in names_in(expression)))
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= remain | EVERYWHERE, panel["title"]


def test_what_the_service_counts_is_shown() -> None:
    shown = set().union(*(names_in(expression) for _, expression in expressions()))
    families_shown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown}
    assert {f"noyau_{name}" for name in FIGURES} <= families_shown


def test_the_dashboard_is_whole() -> None:
    document = json.loads(DASHBOARD.read_text())
    assert document["uid"] == "noyau"
    assert document["editable"] is False
    identities = [panel["id"] for panel in document["panels"]]
    assert len(identities) == len(set(identities))
    places = [tuple(panel["gridPos"][k] for k in "xywh") for panel in document["panels"]]
    cells = [(c, r) for x, y, w, h in places for c in range(x, x + w) for r in range(y, y + h)]
    assert len(cells) == len(set(cells)), "panels lie on each other"
    assert all(x + w <= 24 for x, _, w, _ in places)
    assert all(panel["description"] for panel in panels())
    source = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    (found,) = source["datasources"]
    assert {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]} == {found["uid"]}
    provider = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "dashboards" / "noyau.yaml").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in compose["grafana"]["volumes"]}
    folder = DEPLOY / mounts[provider["providers"][0]["options"]["path"]]
    assert folder.resolve() == DASHBOARD.parent
    home = Path(compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (folder / home.name).is_file()
    assert found["url"] == "http://prometheus:9090"


def test_alerts_say_what_to_do() -> None:
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "remedy"}
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_prometheus_itself_accepts_the_files(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: apt-get install prometheus) is not on this machine")
    checked = subprocess.run(
        [promtool, "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    recorded = [
        {"record": f"noyau:panel_{number}", "expr": re.sub(r"\$__(rate_interval|range)", "5m", expression)}
        for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    read = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True)
    assert read.returncode == 0, read.stdout + read.stderr
