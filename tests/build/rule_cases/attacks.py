"""Attacks on session tickets, compressed pages, plain ports, and by servers of other protocols."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from scanner.evidence import Attempt, Echo, Failure, FailureReason, HttpProbe, PlainEvidence, Ticketbleed, TicketKey
from scanner.inventory import Role, StartTls
from scanner.rules import UNSEEN_NAMES, OtherService
from scanner.verdict import Severity
from tests.build.facts import HOST, NO, NOW, TIMED_OUT, YES, World, failing, hop, http, probe, tls, tls13_only
from tests.build.rule_cases.case import Case, of_tls

_KEY = "aa" * 16
_URL = f"https://{HOST}/"
_NOBODY = {"protocols": {}}


def _key(reason: str, key: Any, *users: str, **more: Any) -> Case:
    since = more.pop("since", None)
    made = tls(ticket_key=key if isinstance(key, Attempt) else Attempt.ok(key), ticket_key_since=since)
    return Case("kex.ticket-keys", reason, World(tls=made, ticket_users={_KEY: frozenset(users)}), **more)


def _echoed(reason: str, echoes: Any, *probes: HttpProbe, **more: Any) -> Case:
    found = http(*probes)
    found = type(found)(found.probes, echoes if isinstance(echoes, Attempt) else Attempt.ok(echoes))
    return Case("vuln.breach", reason, World(http=found), **more)


def _upgraded(reason: str, upgrade: Any, **world: Any) -> Case:
    return Case("vuln.opossum", reason, World(plain=PlainEvidence(upgrade=upgrade), **world))


def _beside(reason: str, *others: OtherService, pattern: str = HOST, **more: Any) -> Case:
    observed = more.pop("observed", None)
    return Case("vuln.alpaca", reason, World(other_services={pattern: frozenset(others)}, **more), observed=observed)


_TAKES = OtherService("mail.example.com:993", "mail.example.com", strict_names=False, takes_alpn=True)
_STRICT_ALPN = OtherService("mail.example.com:995", "mail.example.com", strict_names=False, takes_alpn=False)
_STRICT_NAMES = OtherService("mail.example.com:465", "mail.example.com", strict_names=True, takes_alpn=True)
_SAME_NAME = OtherService(f"{HOST}:465", HOST, strict_names=True, takes_alpn=True)
_UNSEEN = OtherService("mail.example.com:25", "mail.example.com", strict_names=False, takes_alpn=None)
_WILDCARD = "*.example.com"

CASES = (
    of_tls("vuln.ticketbleed", "not-vulnerable", ticketbleed=Attempt.ok(Ticketbleed.NOT_VULNERABLE)),
    of_tls("vuln.ticketbleed", "no-tickets", ticketbleed=Attempt.ok(Ticketbleed.NO_TICKETS)),
    of_tls("vuln.ticketbleed", "vulnerable", ticketbleed=Attempt.ok(Ticketbleed.VULNERABLE)),
    of_tls("vuln.ticketbleed", "tls1.3-alone", **tls13_only()),
    of_tls("vuln.ticketbleed", "not-observed", ticketbleed=TIMED_OUT),
    of_tls("vuln.ticketbleed", "not-observed", ticketbleed=Attempt.failed(FailureReason.INCONSISTENT)),
    of_tls("vuln.ticketbleed", "not-observed", **_NOBODY),
    _key("own", _KEY, "production", observed="key aaaaaaaaaaaaaaaa…"),
    _key("own", _KEY, "production", since=NOW - timedelta(hours=23), observed="key aaaaaaaaaaaaaaaa…"),
    _key(
        "own", _KEY, "production", since=NOW - timedelta(days=1), observed="key aaaaaaaaaaaaaaaa…, at least 1 day old"
    ),
    Case(
        "kex.ticket-keys",
        "own",
        World(
            tls=tls(ticket_key=Attempt.ok(_KEY)),
            siblings=[World(tls=tls(ticket_key=Attempt.ok(key))) for key in ("99" * 16, _KEY, "bb" * 16)],
        ),
        observed="key aaaaaaaaaaaaaaaa…, shared with 1 other address of the name",
    ),
    _key("own", "bb" * 16, "production", "test"),
    _key("shared", _KEY, "production", "test", observed="test"),
    _key("own", _KEY, "production", since=NOW - timedelta(days=7)),
    _key("old", _KEY, "production", since=NOW - timedelta(days=7, seconds=1), observed="7 days"),
    _key("old", _KEY, "production", since=NOW - timedelta(days=40), observed="40 days"),
    _key(
        "shared",
        _KEY,
        "production",
        "test",
        since=NOW - timedelta(days=40),
        observed="test; the key is at least 40 days old",
        expected="a key of the environment's own, 7 days or less",
    ),
    _key("shared", _KEY, "production", "test", since=NOW - timedelta(days=7), observed="test"),
    _key("zero-key", TicketKey.ZEROS, severity=Severity.HIGH),
    _key("no-tickets", TicketKey.NO_TICKETS),
    _key("nameless", TicketKey.NAMELESS),
    _key("not-observed", TIMED_OUT),
    _echoed("not-compressed", (Echo(_URL, echoed=True),)),
    _echoed("not-echoed", (Echo(_URL, "gzip"),)),
    _echoed("echoed", (Echo(_URL, "gzip"), Echo(f"{_URL}search", "deflate", echoed=True))),
    _echoed("no-page", (), probe(hop(status=404))),
    _echoed("not-observed", (), probe(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, _URL))),
    _echoed("not-observed", (Echo(_URL),), probe(failing(FailureReason.TIMED_OUT, _URL))),
    _echoed("not-observed", TIMED_OUT),
    _echoed("not-observed", Attempt.partial((Echo(_URL, "gzip"),), Failure(FailureReason.DEADLINE))),
    Case("vuln.breach", "not-http", World(role=Role.SERVER)),
    Case("vuln.breach", "not-observed", World(http=TIMED_OUT)),
    _upgraded("not-upgraded", NO),
    _upgraded("upgraded", YES),
    _upgraded("closed", Attempt.failed(FailureReason.REFUSED)),
    _upgraded("no-plain-http", YES, http_port=None),
    _upgraded("no-plain-http", YES, role=Role.SERVER),
    _upgraded("not-observed", Attempt.failed(FailureReason.INCONSISTENT)),
    _upgraded("not-observed", TIMED_OUT),
    Case("vuln.opossum", "not-observed", World(plain=TIMED_OUT)),
    _beside("no-other"),
    _beside("no-other", _TAKES, pattern="*.example.org"),
    _beside("no-other", _TAKES, pattern="*.www.example.com"),
    _beside("strict", _STRICT_ALPN, _STRICT_NAMES, pattern=_WILDCARD),
    _beside("confusable", _STRICT_ALPN, _TAKES, _UNSEEN, observed="mail.example.com:993"),
    _beside("confusable", _SAME_NAME, pattern=_WILDCARD),
    _beside("unseen", _STRICT_ALPN, _UNSEEN, observed="mail.example.com:25"),
    _beside("unseen", _UNSEEN, pattern=UNSEEN_NAMES),
    _beside("no-other", _STRICT_ALPN, pattern=UNSEEN_NAMES),
    _beside("not-http", _TAKES, role=Role.SERVER, port=993),
    _beside("not-http", _TAKES, starttls=StartTls.SMTP),
)
