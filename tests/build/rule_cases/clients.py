"""Clients that a policy wants to connect."""

from __future__ import annotations

from tests.build.facts import TIMED_OUT, certificate, deployment, offers, tls13_only
from tests.build.rule_cases.case import of_tls

_OLD = {"parameters": {"clients": ["java-7u25", "firefox-155"]}}
_CHROMIUM = {"parameters": {"clients": ["chromium-156"]}}
_NEW = {"parameters": {"clients": ["firefox-*"]}}

CASES = (
    of_tls("clients.supported", "all-connect", **_NEW),
    of_tls("clients.supported", "cut-off", **_OLD, **tls13_only()),
    of_tls("clients.supported", "cut-off", deployment(certificate(signature_hash="sha1")), **_CHROMIUM),
    of_tls("clients.supported", "unclear", **_NEW, protocols=offers(tls1_3=TIMED_OUT)),
    of_tls("clients.supported", "unclear", **_NEW, certificates=TIMED_OUT),
    of_tls("clients.supported", "no-list"),
)
