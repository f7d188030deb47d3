"""Who trusts a chain, side by side."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from scanner.evidence import StoreTrust
from scanner.verdict import Severity
from tests.build.certificates import intermediate
from tests.build.facts import NOW, certificate, deployment, trusted
from tests.build.rule_cases.case import of_tls


def _by(*names: str, days: float = 30, condition: str = "", paths: Any = None) -> Any:
    """A chain that these lists trust, of so many days ago."""
    date = NOW - timedelta(days=days)
    every = ("mozilla", "chrome", "apple", "java")
    stores = tuple(StoreTrust(name, name in names, date, condition if name == "mozilla" else "") for name in every)
    made = deployment(stores=stores)
    return dataclasses.replace(made, paths=paths) if paths is not None else made


_ALL = ("mozilla", "chrome", "apple", "java")
_PRIVATE = (trusted(certificate(), intermediate(), public=False, store="ca.pem"),)
_WANTED = {"stores": ["chrome", "apple"]}

CASES = (
    of_tls(
        "cert.trusted",
        "trusted",
        _by(*_ALL),
        observed="mozilla (trusted too by chrome, apple, java; lists of 2026-10-25)",
    ),
    of_tls(
        "cert.trusted",
        "trusted",
        _by("chrome"),
        observed="mozilla (trusted too by chrome, not by apple, java; lists of 2026-10-25)",
    ),
    of_tls("cert.trusted", "trusted", _by(paths=_PRIVATE), observed="ca.pem"),
    of_tls(
        "cert.trusted",
        "distrusted",
        _by("chrome", condition="certificates from 2026-04-15 on are not trusted"),
        severity=Severity.HIGH,
    ),
    of_tls("cert.trusted", "trusted", _by("chrome"), parameters={"stores": ["chrome"]}),
    of_tls("cert.trusted", "not-everywhere", _by("chrome"), parameters=_WANTED, severity=Severity.HIGH),
    of_tls("cert.trusted", "old-data", _by("chrome", days=366), parameters=_WANTED),
    of_tls("cert.trusted", "trusted", _by(*_ALL, days=366), parameters=_WANTED),
    of_tls("cert.trusted", "not-observed", deployment(), parameters=_WANTED),
    # One of any browser is of the public web.
    of_tls("cert.transparency", "enough", _by("apple", paths=_PRIVATE)),
    of_tls("cert.transparency", "private-ca", _by("java", paths=_PRIVATE)),
)
