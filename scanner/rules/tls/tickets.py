"""Session tickets: does the key that makes them belong to this server alone, and does the server leak with them?"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from scanner.counting import counted
from scanner.evidence import Ticketbleed, TicketKey, TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    Proof,
    fails,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.rules.tls.accepted import only_tls13
from scanner.verdict import Goal, Severity

_SHORT_NAME: Final = 16


@rule(
    "vuln.ticketbleed",
    opt_in=True,
    title="Not open to Ticketbleed",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="The server sends up to 31 bytes of its memory with every resumed session: session ids, and parts of what "
    "others say.",
    how="A session ticket is got by a handshake of TLS 1.2 or older, and sent again with a session id of 16 bytes. "
    "Right is only that id in answer; 32 bytes that begin with it, twice, are the flaw. Looks like an attack "
    "(`intrusive`), and is asked only where a policy lists it: 2 connections, 4 where the answer is odd.",
    sources=(attack("CVE-2016-9244", "https://filippo.io/Ticketbleed/"), rfc(5077, "3.4")),
    reasons={
        "not-vulnerable": passes("The session id comes back as it was sent."),
        "no-tickets": passes("No session tickets are issued before TLS 1.3."),
        "vulnerable": fails("The server is vulnerable: {observed}."),
        "tls1.3-alone": not_applicable("The server negotiates only TLS 1.3, to which the attack does not apply."),
    },
    fix=Fix(
        "Update the load balancer (F5 BIG-IP: K05121675); until then switch session tickets off.",
        {"load balancer": "F5: tmsh modify ltm profile client-ssl PROFILE session-ticket disabled"},
    ),
    mistake=untried("the flaw is one of F5 BIG-IP; tests/lab/test_ticket_attacks.py shows it on a server that has it"),
    proof=Proof.SINGULAR,
)
def _ticketbleed(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "the session id that was sent"
    value = tls.ticketbleed.value
    if value is None:
        return [Finding("tls1.3-alone", "TLS 1.3")] if only_tls13(tls) else [not_observed(tls.ticketbleed.failure)]
    if tls.ticketbleed.incomplete is not None and value is not Ticketbleed.VULNERABLE:
        return [not_observed(tls.ticketbleed.incomplete)]
    observed = {
        Ticketbleed.NOT_VULNERABLE: expected,
        Ticketbleed.NO_TICKETS: "no tickets",
        Ticketbleed.VULNERABLE: "a session id of 16 bytes came back with 16 bytes behind it",
    }[value]
    return [Finding(value.value, observed, expected)]


class TicketKeyParameters(Parameters):
    """Parameters of kex.ticket-keys."""

    days: int = 7
    """A key that is known to be older fails (RFC 9325 section 3.4: changed regularly, once a week for example)."""


@rule(
    "kex.ticket-keys",
    opt_in=True,
    title="Session tickets are made with a key of the environment's own",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="Who has the key of the tickets decrypts what was said under them, forward secrecy or not, up to TLS 1.2. A "
    "key that a test system shares is as safe as the test system; one of zeros is known to everybody; one that is "
    "never changed opens all that was recorded since.",
    how="Two handshakes, in the newest version before TLS 1.3, else in TLS 1.3, and their tickets compared. The name "
    "of the key stands before them, as OpenSSL, nginx, Apache httpd, HAProxy and GnuTLS write them; it is looked for "
    "in the other environments of the run. Addresses of one name, and hosts of one environment, may share it. The MAC "
    "is tried with a key of zeros. Nothing is resumed. Runs with a history remember when a name was seen first: the "
    "key is at least as old, and may be older.",
    sources=(
        rfc(5077, "5.5"),
        rfc(9325, "3.4"),
        attack("keys of zeros (CVE-2020-13777)", "https://nvd.nist.gov/vuln/detail/CVE-2020-13777"),
    ),
    reasons={
        "own": passes("No other environment of the run has the key of the tickets: {observed}."),
        "no-tickets": passes("No session tickets are issued."),
        "zero-key": fails("Session tickets are made with a key of zeros, which everybody has."),
        "shared": fails("The key of the tickets is used in other environments too: {observed}."),
        "old": fails("The key of the tickets is at least {observed} old."),
        "nameless": indeterminate("The tickets do not name their key, so that it cannot be compared."),
    },
    fix=Fix(
        "Let each environment make its own key and change it daily, or switch session tickets off.",
        {
            "nginx": "# remove ssl_session_ticket_key: nginx then makes a key for itself at each start\n"
            "ssl_session_tickets off;",
            "apache": "# remove SSLSessionTicketKeyFile\nSSLSessionTickets off",
            "haproxy": "# remove tls-ticket-keys from the bind line\nssl-default-bind-options no-tls-tickets",
        },
    ),
    mistake=untried("the key is a separate file, which tests/lab/test_ticket_attacks.py gives to nginx"),
    proof=Proof.SINGULAR,
    parameters=TicketKeyParameters,
)
def _ticket_keys(tls: TlsEvidence, facts: Facts, parameters: TicketKeyParameters) -> list[Finding]:
    key, expected = tls.ticket_key.value, "a key of the environment's own"
    if key is None:
        return [not_observed(tls.ticket_key.failure)]
    if key == TicketKey.ZEROS:
        return [Finding("zero-key", "a key of zeros", expected, severity=Severity.HIGH)]
    others = facts.ticket_users.get(key, frozenset()) - {facts.environment.name}
    # Between two sightings of one name the key was there, whoever evaluates that when.
    age = facts.evidence.started_at - (tls.ticket_key_since or facts.evidence.started_at)
    old, allowed = age > timedelta(days=parameters.days), f"{counted(parameters.days, 'day')} or less"
    if others:
        # One verdict tells of both: whoever stops the sharing by the same key for each is not done.
        too_old = f"; the key is at least {counted(age.days, 'day')} old" if old else ""
        return [Finding("shared", listing(sorted(others)) + too_old, f"{expected}, {allowed}" if old else expected)]
    if old:
        return [Finding("old", counted(age.days, "day"), allowed)]
    if tls.ticket_key.incomplete is not None:
        return [not_observed(tls.ticket_key.incomplete)]
    if key == TicketKey.NO_TICKETS:
        return [Finding("no-tickets", "no tickets", expected)]
    if key == TicketKey.NAMELESS:
        return [Finding("nameless", "no name", expected)]
    seen = f", at least {counted(age.days, 'day')} old" if age >= timedelta(days=1) else ""
    return [Finding("own", f"key {key[:_SHORT_NAME]}…{seen}{_shared_by(key, facts)}", expected)]


def _shared_by(key: str, facts: Facts) -> str:
    """How many other addresses of the name have the key, in words."""
    others = [item.evidence.tls.value for item in facts.siblings]
    same = [tls for tls in others if tls and tls.ticket_key.value == key]
    return f", shared with {counted(len(same), 'other address', 'other addresses')} of the name" if same else ""
