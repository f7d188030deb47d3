"""Certificates in files: served or not, and fit for a client or not."""

from __future__ import annotations

from typing import Any

from scanner.verdict import Severity
from tests.build.certificates import intermediate
from tests.build.facts import HOST, TIMED_OUT, World, certificate, deployment, tls, trusted
from tests.build.rule_cases.case import Case, of_tls

_SERVER, _CLIENT, _MAIL = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"
_OWN = certificate()


def _served(reason: str, served: dict[str, str], own: Any = _OWN, **more: Any) -> Case:
    found = {host: frozenset({fingerprint}) for host, fingerprint in served.items()}
    return Case("cert.served", reason, World(tls=tls(deployment(own)), served=found), **more)


def _client(reason: str, *usages: str, public: bool = False, **more: Any) -> Case:
    own = certificate(extended_key_usage=usages)
    shown = deployment(own, paths=(trusted(own, intermediate(), public=public),))
    return Case("cert.client-purpose", reason, World(tls=tls(shown)), **more)


CASES = (
    _served("served", {HOST: _OWN.fingerprint, "other.example.com": "aa"}, observed=HOST),
    _served("served", {"elsewhere.example.net": _OWN.fingerprint, HOST: "aa"}, observed="elsewhere.example.net"),
    _served("another-served", {HOST: "aa", "elsewhere.example.net": "bb"}, observed=HOST, severity=Severity.MEDIUM),
    _served("unused", {"elsewhere.example.net": "bb"}, severity=Severity.INFO),
    _served("unused", {}, severity=Severity.INFO),
    _served("unreadable", {HOST: "aa"}, certificate(unreadable_extensions=("subjectAltName",))),
    _served("not-a-servers", {}, certificate(is_ca=True)),
    of_tls("cert.served", "not-observed", certificates=TIMED_OUT),
    _client("for-clients", _CLIENT, observed="clientAuth"),
    _client("for-clients", _CLIENT, _SERVER),
    _client("for-clients", observed="everything"),
    _client("not-for-clients", _SERVER, _MAIL, observed="serverAuth, emailProtection", severity=Severity.MEDIUM),
    _client("not-for-clients", "1.2.3.4", observed="1.2.3.4"),
    _client("public-ca", _CLIENT, _SERVER, public=True, severity=Severity.LOW),
    _client("not-for-clients", _SERVER, public=True),
    of_tls("cert.client-purpose", "issuer-unknown", deployment(certificate(extended_key_usage=(_CLIENT,)), paths=())),
    Case(
        "cert.client-purpose",
        "unreadable",
        World(tls=tls(deployment(certificate(unreadable_extensions=("extKeyUsage",))))),
    ),
    of_tls("cert.client-purpose", "not-observed", certificates=TIMED_OUT),
)
