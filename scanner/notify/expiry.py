"""Who is told when that a certificate or a waiver ends: each step once, scaled to how long it lasts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase

from msgspec import Struct

from scanner.evidence import Certificate
from scanner.history.facts import deployments_of
from scanner.verdict import RunRecord
from scanner.waiver import Waiver

STEPS_DAYS = (60, 30, 13, 4)
"""Days before its end at which people are told of a certificate that lasts a year or longer."""
_FULL_LIFETIME = timedelta(days=365)
_A_NIGHT_AND_MORE = timedelta(hours=36)
WAIVER_STEPS_DAYS = (14, 3)
"""Days before its end at which people are told of a waiver."""


class Expiring(Struct, frozen=True):
    """A certificate that ends soon, and the targets that present it. `key` names the step, which is told once."""

    key: str
    fingerprint: str
    leaf: bool
    not_after: datetime
    targets: tuple[str, ...]
    passed: tuple[str, ...]
    """The keys of the earlier steps, which need not be told any more."""

    def days_left(self, now: datetime) -> float:
        """Days until its end; negative after it."""
        return (self.not_after - now) / timedelta(days=1)


class WaiverEnding(Struct, frozen=True):
    """A waiver that waives for a few days more only, or no longer."""

    key: str
    waiver: Waiver
    days_left: int
    passed: tuple[str, ...]


def steps(lifetime: timedelta) -> tuple[timedelta, ...]:
    """How long before its end people are told of a certificate: a year's steps, in the proportion of its lifetime.

    So one for 90 days, which is renewed 30 days before its end, is told 15 days before it for the first time. The first
    step is early enough for a nightly run to see it, however short the lifetime.
    """
    share = min(1.0, lifetime / _FULL_LIFETIME)
    first, *others = (timedelta(days=days) * share for days in STEPS_DAYS)
    return (max(first, min(_A_NIGHT_AND_MORE, lifetime / 2)), *others)


def expiring(record: RunRecord, now: datetime, told: Collection[str]) -> list[Expiring]:
    """The certificates of a run that have passed a step that was not told yet, the next to end first."""
    holders: dict[str, tuple[Certificate, list[str], bool]] = {}
    for target in record.targets:
        for deployment in deployments_of(target):
            for index, certificate in enumerate(deployment.chain):
                _, targets, _ = holders.setdefault(certificate.fingerprint, (certificate, [], index == 0))
                if target.id not in targets:
                    targets.append(target.id)
    found = []
    for certificate, targets, leaf in holders.values():
        left = certificate.not_after - now
        names = [f"certificate {certificate.fingerprint} {days}" for days in STEPS_DAYS]
        allowed = steps(certificate.not_after - certificate.not_before)
        reached = [name for name, step in zip(names, allowed, strict=True) if left <= step]
        # One that has ended is a failure of its own, which is told as such.
        if reached and left > timedelta(0) and reached[-1] not in told:
            expiry = Expiring(
                reached[-1], certificate.fingerprint, leaf, certificate.not_after, tuple(targets), tuple(reached[:-1])
            )
            found.append(expiry)
    return sorted(found, key=lambda item: item.not_after)


def waivers_ending(waivers: Iterable[Waiver], today: date, told: Collection[str]) -> list[WaiverEnding]:
    """The waivers that have passed a step that was not told yet, or have ended; the next to end first."""
    found = []
    for waiver in waivers:
        left = (waiver.expires - today).days
        name = f"waiver {waiver.rule} {waiver.scope} {waiver.expires}"
        keys = [f"{name} {days}" for days in WAIVER_STEPS_DAYS if left <= days]
        if left < 0:
            keys.append(f"{name} ended")
        if keys and keys[-1] not in told:
            found.append(WaiverEnding(keys[-1], waiver, left, tuple(keys[:-1])))
    return sorted(found, key=lambda item: item.waiver.expires)


def concerned(waivers: Sequence[Waiver], environments: Collection[str]) -> list[Waiver]:
    """The waivers that could apply in one of these environments."""
    return [
        waiver
        for waiver in waivers
        if any(fnmatchcase(environment, waiver.scope.partition("/")[0]) for environment in environments)
    ]


def today_of(moment: datetime) -> date:
    """The day by which waivers are judged: UTC's, as verdicts are."""
    return moment.astimezone(UTC).date()
