"""What the commands that scan have in common: settings from configuration and options, progress, and the run itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

import scanner
from scanner import pipeline
from scanner.config.form_scan import ScanForm
from scanner.errors import UsageError
from scanner.inventory import Environment
from scanner.jobs.progress import progress_display
from scanner.jobs.proxies import carrying_all
from scanner.jobs.stopping import Stopping
from scanner.known_keys import PublishedKeys
from scanner.probe import ProbeSettings
from scanner.probe.x509.ct_logs import load_logs
from scanner.probe.x509.trust import store_digests

if TYPE_CHECKING:
    from scanner.config.loading import Config
    from scanner.pipeline import Job
    from scanner.verdict import RunRecord

BUILTIN_STORES = ("mozilla", "system")
ANSWERS = ".authorities"
"""The folder in which answers of certificate authorities are kept."""


class Overrides(Struct, frozen=True):
    """What the command line says instead of the configuration, or besides it."""

    ca_file: Path | None = None
    deadline: timedelta | None = None
    connect_to: Mapping[str, Sequence[str]] | None = None
    intrusive: bool = True
    online: bool = True
    proxy: str | None = None
    source_address: str | None = None
    helo: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    resolver: str | None = None


def probe_settings(
    scan: ScanForm, environments: Sequence[Environment], folder: Path, overrides: Overrides
) -> ProbeSettings:
    """Settings for the probes.

    A PEM file is trusted besides Mozilla's roots, as `--ca-file` is besides whatever is configured.

    Raises:
        TrustStoreError: a trust store cannot be read.
        LogListError: the list of CT logs cannot be read.
    """
    extra = (str(overrides.ca_file.absolute()),) if overrides.ca_file else ()
    default = _stores(scan.trust_store, folder) + extra
    by_environment = {
        environment.name: _stores(environment.trust_store, folder) + extra
        for environment in environments
        if environment.trust_store
    }
    store_digests({*default, *(store for stores in by_environment.values() for store in stores)})
    connect_to = {name: tuple(addresses) for name, addresses in scan.connect_to.items()}
    connect_to |= {name: tuple(addresses) for name, addresses in (overrides.connect_to or {}).items()}
    ct_logs = str((folder / scan.ct_logs).absolute()) if scan.ct_logs else None
    load_logs(ct_logs)
    published_keys = str((folder / scan.published_keys).absolute()) if scan.published_keys else None
    _readable_list(published_keys)
    return ProbeSettings(
        timeout_s=scan.timeout.total_seconds(),
        deadline_s=(overrides.deadline or scan.deadline).total_seconds(),
        # Where it is not set, it depends on what is spoken.
        connections_per_target=scan.connections_per_target
        if "connections_per_target" in scan.model_fields_set
        else None,
        rate_per_s=scan.rate,
        total_rate_per_s=scan.total_rate,
        engine=scan.engine,
        trust_stores=default,
        environment_trust_stores=by_environment,
        connect_to=connect_to,
        user_agent=f"Nightseal/{scanner.__version__}",
        contact=scan.contact,
        proxy=carrying_all(overrides.proxy or scan.proxy),
        source_address=overrides.source_address,
        headers=overrides.headers,
        resolver=overrides.resolver,
        validating_resolver=scan.validating_resolver,
        helo=overrides.helo or scan.helo,
        intrusive=scan.intrusive and overrides.intrusive,
        fetch_from=tuple(scan.fetch_from),
        online=scan.online and overrides.online,
        ct_logs=ct_logs,
        published_keys=published_keys,
    )


def _readable_list(published_keys: str | None) -> None:
    """Open a list of published keys once before a run.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    if published_keys is not None:
        try:
            PublishedKeys(Path(published_keys))
        except (OSError, ValueError) as error:
            raise UsageError(f"[scan] published_keys: {error}") from error


def _stores(name: str, folder: Path) -> tuple[str, ...]:
    return (name,) if name in BUILTIN_STORES else ("mozilla", str((folder / name).absolute()))


def run_with_progress(job: Job, stopping: Stopping, *, quiet: bool) -> RunRecord:
    """Run a job with a live display by target, on a terminal, on stderr. Told to end, it gives what was finished."""
    with progress_display(quiet=quiet) as on_progress:
        return stopping.run(pipeline.execute(job, on_progress))


def job_parts(scan: ScanForm) -> dict[str, Any]:
    """The parts of a job that [scan] decides directly."""
    return {
        "concurrency": scan.concurrency,
        "workers": scan.workers,
        "addresses": scan.addresses,
        "vantage": scan.vantage or "",
    }


def answers_folder(config: Config) -> Path:
    """Where answers of certificate authorities are kept: beside the history, or beside the service's state."""
    history = config.resolve(config.form.nightseal.history)
    beside = config.resolve(config.form.daemon.state) if "://" in history else history.rstrip("/")
    return Path(beside).parent / ANSWERS
