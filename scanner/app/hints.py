"""What whoever scanned something will want to type next, told from what was seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from scanner.evidence import FailureReason
from scanner.verdict import RunRecord, Status, TargetResult

_GREETINGS: Final = (
    (re.compile(r'"220[ -][^"]*\b(?:E?SMTP)\b', re.IGNORECASE), "smtp"),
    (re.compile(r'"220[ -][^"]*FTP', re.IGNORECASE), "ftp"),
    (re.compile(r'"\* (?:OK|PREAUTH|BYE)\b'), "imap"),
    (re.compile(r'"\+OK\b'), "pop3"),
)
"""What servers say first that wait for STARTTLS, as the failure quotes it, and the scheme that is meant."""
_WEB: Final = re.compile(r'"HTTP/\d|"\s*<(?:!doctype|html|head)\b|^it answers plain HTTP', re.IGNORECASE)
"""How a server of plain HTTP answers a ClientHello: by a status line, or by a page alone, as HTTP/0.9 had it."""
_HTTPS_PORT: Final = 443
_PRIVATE: Final = frozenset({"self-signed", "unknown-issuer"})


def hints_of(record: RunRecord, *, ca_file: bool, identity: bool) -> list[str]:
    """One line for each kind of hint and target; none where all is as it was meant.

    Args:
        record: the run.
        ca_file: whether CAs of the user's own were trusted already.
        identity: whether a client certificate was presented already.
    """
    return [hint for target in record.targets for hint in _hints(target, ca_file=ca_file, identity=identity)]


def _hints(target: TargetResult, *, ca_file: bool, identity: bool) -> Iterator[str]:
    where = f"{target.host}:{target.port}" if ":" not in target.host else f"[{target.host}]:{target.port}"
    error = target.error
    if error is not None and error.reason is FailureReason.NOT_TLS:
        for greeting, scheme in _GREETINGS:
            if greeting.search(error.detail):
                yield f"{where} greets as {scheme.upper()}: try {scheme}://{where}"
                return
        if target.starttls is None and target.port != _HTTPS_PORT and _WEB.search(error.detail):
            host = where.rpartition(":")[0]
            yield f"{where} speaks plain HTTP here; try https://{host}, or the port of {host} that speaks HTTPS"
            return
    if error is not None and target.starttls is not None and error.reason is FailureReason.TLS_ONLY:
        yield f"TLS begins at once at {where}: try {target.starttls.tls_scheme}://{where}"
    verdicts = (verdict for verdict in target.verdicts if verdict.rule == "cert.trusted")
    if not ca_file and any(verdict.status is Status.FAIL and verdict.reason in _PRIVATE for verdict in verdicts):
        yield f"{where}: if your own CA issued its certificate, add that CA with --ca-file PEM"
    unknown = (verdict.message for verdict in target.verdicts if verdict.status is Status.INDETERMINATE)
    if not identity and any(FailureReason.CLIENT_CERTIFICATE_REQUIRED in message for message in unknown):
        yield f"{where} requires a client certificate: present yours with --client-cert PEM"
