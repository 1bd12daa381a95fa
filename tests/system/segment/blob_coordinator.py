"""A process that runs one job on Dask workers, as a worker of the service would: `blob_coordinator.py JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from conftest import BlobRegistry
from noyau.compute.dask import DaskSite
from noyau.compute.dask_link import SchedulerPlace
from noyau.domain.access import AccessPolicy
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.pipelines import segment
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.file_ledger import FileLedger
from noyau.spreading import software_version


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    scratch = Path(order["scratch"])
    workdir = scratch / order["job"]
    workdir.mkdir(parents=True, exist_ok=True)
    site = DaskSite(SchedulerPlace(order["address"], patience=120), scratch, software_version())
    context = PipelineContext(
        BlobRegistry(),  # type: ignore[arg-type]
        AccessPolicy.everything(),
        workdir,
        None,  # type: ignore[arg-type]
        ledger=FileLedger(workdir / "ledger.jsonl"),
        job_id=order["job"],
        threads=1,
        attempt=order["attempt"],
        site=site,
    )
    spec = SegmentSpec(
        (ImageRef(order["image"]),), backend="torch", measure=False, tile=tuple(order["tile"]), overwrite=True
    )
    result = segment.run(spec, context)
    sys.stdout.write(f"nuclei {result.nuclei}\n")


if __name__ == "__main__":
    main()
