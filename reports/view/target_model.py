"""Targets, environments and certificates as every report shows them, and what could not be seen of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from reports.view.standing import Standing, Tally
from scanner.inventory import EnvironmentKind
from scanner.verdict import Goal, PolicyRef


class TargetRef(Struct, frozen=True):
    """A target as it is named elsewhere in the report."""

    id: str
    anchor: str
    label: str
    environment: str

    @property
    def endpoint(self) -> str:
        """`environment/host:port`, whichever of its addresses this is."""
        return self.id.rpartition("@")[0]


class EnvironmentView(Struct, frozen=True):
    """One environment and how it stands towards each goal."""

    name: str
    anchor: str
    kind: EnvironmentKind | None
    policy: PolicyRef
    targets: int
    unreachable: int
    partial: int
    goals: Mapping[Goal, Tally]
    total: Tally

    @property
    def standing(self) -> Standing:
        """How it stands in all."""
        return self.total.standing


class CertificateView(Struct, frozen=True):
    """A server's own certificate and where it is served. `days_left` counts from the start of the run."""

    fingerprint: str
    anchor: str
    name: str
    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    days_left: int
    key: str
    self_signed: bool
    trusted: bool | None
    targets: tuple[TargetRef, ...]
    environments: tuple[str, ...]
    key_shared: bool = False
    with_sni: bool = True


class Gap(Struct, frozen=True):
    """Checks that gave no answer for one and the same reason."""

    reason: str
    rules: tuple[str, ...]
    targets: tuple[TargetRef, ...]
    checks: int


class UnreachableView(Struct, frozen=True):
    """Targets that gave no answer at all, for one and the same reason."""

    reason: str
    detail: str
    targets: tuple[TargetRef, ...]
