"""The servers' own certificates of a run, and intermediates that end before them, by the day on which they end."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from reports.language import gettext
from reports.view.index import Index
from reports.view.target_model import CertificateView, TargetRef
from scanner.evidence import Certificate, Deployment, KeyType
from scanner.verdict import TargetResult

_COMMON_NAME = re.compile(r"(?:^|,)CN=((?:\\.|[^,\\])+)")
_ORGANISATION = re.compile(r"(?:^|,)O=((?:\\.|[^,\\])+)")
_ESCAPE = re.compile(r"\\([^0-9A-Fa-f])")


@dataclass
class _Use:
    certificate: Certificate
    trusted: bool | None
    with_sni: bool
    targets: dict[TargetRef, None] = field(default_factory=dict)


def certificates_of(index: Index) -> tuple[CertificateView, ...]:
    """Every leaf that was served, once, with all the targets that serve it; the first to end first.

    An intermediate with which a chain ends before its leaf does stands among them.
    """
    uses: dict[str, _Use] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    for target in index.record.targets:
        for deployment in deployments_of(target):
            for item in deployment.ending:
                use = uses.setdefault(item.fingerprint, _Use(item, _trusted(deployment), with_sni=False))
                use.with_sni = use.with_sni or deployment.with_sni
                use.targets[index.ref(target)] = None
                keys[item.spki].add(item.fingerprint)
    started = index.record.run.started_at
    views = [_view(use, started, shared=len(keys[use.certificate.spki]) > 1) for use in uses.values()]
    return tuple(sorted(views, key=lambda view: (view.not_after, view.name, view.fingerprint)))


def deployments_of(target: TargetResult) -> tuple[Deployment, ...]:
    """The chains that a target was seen to present."""
    tls = target.evidence.tls.value if target.evidence else None
    return (tls.certificates.value or ()) if tls else ()


def _trusted(deployment: Deployment) -> bool | None:
    return any(path.trusted for path in deployment.paths) if deployment.paths else None


def _view(use: _Use, started: datetime, *, shared: bool) -> CertificateView:
    certificate = use.certificate
    names = (*certificate.dns_names, *certificate.ip_addresses)
    return CertificateView(
        fingerprint=certificate.fingerprint,
        anchor=f"c-{certificate.fingerprint[:16]}",
        name=common_name(certificate.subject) or next(iter(names), "") or certificate.subject or gettext("no name"),
        names=names,
        issuer=gettext("itself") if certificate.self_signed else issuer_name(certificate.issuer),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        days_left=(certificate.not_after - started).days,
        key=key_of(certificate),
        self_signed=certificate.self_signed,
        trusted=use.trusted,
        targets=tuple(use.targets),
        environments=tuple(dict.fromkeys(target.environment for target in use.targets)),
        key_shared=shared,
        with_sni=use.with_sni,
    )


def key_of(certificate: Certificate) -> str:
    """The key in few words: `RSA 2048`, `ECDSA P-256`."""
    curves = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
    if certificate.key_type is KeyType.ECDSA:
        return f"ECDSA {curves.get(certificate.curve or '', certificate.curve or certificate.key_bits)}"
    if certificate.key_type in {KeyType.ED25519, KeyType.ED448}:
        return certificate.key_type.value.capitalize()
    return f"{certificate.key_type.value.upper()} {certificate.key_bits}"


def common_name(name: str) -> str:
    """The common name of an RFC 4514 string, or nothing."""
    match = _COMMON_NAME.search(name)
    return _ESCAPE.sub(r"\1", match[1]) if match else ""


def issuer_name(name: str) -> str:
    """What people call an issuer: its common name, with the organisation where that says more."""
    common = common_name(name)
    match = _ORGANISATION.search(name)
    organisation = _ESCAPE.sub(r"\1", match[1]) if match else ""
    if not common or not organisation:
        return common or organisation or name
    return common if organisation.split()[0].casefold() in common.casefold() else f"{common}, {organisation}"
