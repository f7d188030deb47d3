"""What changed of targets between two runs, whatever the rules say of them: presence, addresses, certificates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scanner.evidence import Certificate
from scanner.history.attribution import cause_of_silence
from scanner.history.facts import deployments_of
from scanner.history.renewals import CertificateDifference, Presented, nearest, paired
from scanner.history.run_diff import AddressChange, CertificateChange, TargetChange
from scanner.verdict import RunRecord, TargetResult, TargetStatus

Both = list[tuple[list[TargetResult], list[TargetResult]]]
"""The targets of each endpoint that two runs have, in the one and in the other."""


def missed_targets(before: RunRecord, after: RunRecord, both: Both) -> list[TargetResult]:
    """Addresses of endpoints that both runs have, to which an interrupted one did not come."""
    if after.run.complete or not before.run.complete:
        return []
    return [target for old, new in both for target in old if target.id not in {item.id for item in new}]


def now_unreachable(pairs: Both, *, later_first: bool = False) -> Iterator[TargetChange]:
    """The targets that do not answer in the second of each pair, where the endpoint did, or this address of it.

    With `later_first` the second is the earlier run: those targets are back, and are told as the later run saw them.
    """
    for first, second in pairs:
        known = {target.id: target for target in first}
        silent = all(target.status is TargetStatus.UNREACHABLE for target in first)
        for target in second:
            if target.status is not TargetStatus.UNREACHABLE or silent:
                continue
            twin = known.get(target.id)
            if twin is not None and twin.status is TargetStatus.UNREACHABLE:
                continue
            if twin is None and later_first and any(item.status is TargetStatus.UNREACHABLE for item in first):
                continue  # another address is silent now; this one is merely gone
            answering = next(item for item in first if item.status is not TargetStatus.UNREACHABLE)
            reason = target.error.reason if target.error is not None else None
            yield TargetChange((twin or answering) if later_first else target, cause_of_silence(reason))


def address_changes(pairs: Both) -> Iterator[AddressChange]:
    """Names that have other addresses; one that did not resolve in one of the runs is unreachable, and told as that."""
    for first, second in pairs:
        old, new = ({target.ip for target in targets if target.ip} for targets in (first, second))
        if old and new and old != new:
            yield AddressChange(second[0], tuple(sorted(new - old)), tuple(sorted(old - new)))


def certificate_changes(pairs: Both) -> Iterator[CertificateChange]:
    """Targets that present another certificate; where one of the two was not seen, nothing is known of a change."""
    for first, second in pairs:
        known = {target.id: target for target in first}
        served = {key: item for target in first for key, item in _leaves(target).items()}
        for target in second:
            new = _leaves(target)
            twin = known.get(target.id)
            old = _leaves(twin) if twin is not None else served
            if not (old and new):
                continue
            came = [item for name, item in new.items() if name not in old]
            # At an address that is new, what other addresses served may still be served there.
            gone = [item for name, item in old.items() if name not in new] if twin is not None or came else []
            for before, after in paired(gone, came):
                yield _change(target, before, after, list(old.values()))


_Leaf = tuple[Certificate, Presented]


def _change(
    target: TargetResult, before: _Leaf | None, after: _Leaf | None, others: Sequence[_Leaf]
) -> CertificateChange:
    found: tuple[CertificateDifference, ...] = ()
    if after is not None:
        # One more beside those that were there before is compared with the one that is most like it.
        found = nearest([item[1] for item in ([before] if before is not None else others)], after[1])
    return CertificateChange(target, before[0] if before else None, after[0] if after else None, found)


def _leaves(target: TargetResult) -> dict[str, _Leaf]:
    """The server's own certificates by fingerprint, as clients see them that name the host."""
    return {
        deployment.leaf.fingerprint: (deployment.leaf, Presented.of(deployment))
        for deployment in deployments_of(target)
        if deployment.with_sni
    }
