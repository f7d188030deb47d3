"""What of an evidence counts when two nights are compared: the facts, without the circumstances of the look.

Two looks at an unchanged server differ in times, durations, connection counts and page sizes. None is a change.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from scanner.evidence import Attempt, Deployment, TargetEvidence, to_json
from scanner.verdict import TargetResult

CIRCUMSTANCES: Final = frozenset(
    {
        "started_at",
        "duration_s",
        "connections",
        "detail",  # the words of a failure; its reason is kept
        "body_bytes",
        "this_update",
        "next_update",
        "produced_at",
    }
)
"""Keys of the evidence's JSON that may differ while the server is the same."""

_OURS: Final = (
    (frozenset({"store", "store_digest"}), frozenset({"store", "store_digest"})),
    (frozenset({"store", "trusted"}), frozenset({"date"})),
    (frozenset({"list_source", "list_date"}), frozenset({"list_source", "list_date"})),
    (frozenset({"log_id", "check"}), frozenset({"log", "operator", "states"})),
    (frozenset({"certificate", "source", "url"}), frozenset({"fetched_at", "from_cache", "digest"})),
)
"""By which keys a part of the evidence is known, and what of it is of our files or of the look, not the server's.

That is where a trust store lies, of when lists of roots and of logs are, and which copy of a list of revoked
certificates was read."""

Facts = dict[str, Any]


def facts_of(evidence: TargetEvidence | bytes | None) -> Facts:
    """The facts of an evidence (or of its JSON) as plain values; empty where nothing was observed."""
    if evidence is None:
        return {}
    data = evidence if isinstance(evidence, bytes) else to_json(evidence)
    facts: Facts = json.loads(data, object_hook=_without_circumstances)
    return facts


def digest(facts: Facts) -> str:
    """The SHA-256 of facts, in hexadecimal: equal where they are."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _without_circumstances(values: dict[str, Any]) -> dict[str, Any]:
    if "fingerprint" in values:
        # A certificate: whatever else is known of it follows from its bytes, and later versions may read more there.
        return {"fingerprint": values["fingerprint"]}
    if "addresses" in values:
        values["addresses"] = sorted(values["addresses"])  # the DNS rotates its answers
    ours = next((ours for known_by, ours in _OURS if known_by <= values.keys()), frozenset())
    for name in (CIRCUMSTANCES | ours) & values.keys():
        del values[name]
    if isinstance(values.get("paths"), list):
        values["paths"].sort(key=digest)  # stores can be named in another order
    return values


def deployments_of(target: TargetResult) -> tuple[Deployment, ...]:
    """The certificate chains that a target presented, as far as anyone saw."""
    evidence = target.evidence
    tls = evidence.tls.value if evidence else None
    attempt: Attempt[tuple[Deployment, ...]] | None = tls.certificates if tls else None
    return (attempt.value if attempt else None) or ()
