"""Is anything taken in plain where STARTTLS is offered?"""

from __future__ import annotations

from collections.abc import Iterable

from scanner.evidence import PlainEvidence, PlainLogin
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    fails,
    judged,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.finding import unproven
from scanner.rules.registry.judged import EvidenceJudge
from scanner.rules.registry.rule import Proof, untried
from scanner.rules.registry.sources import attack, rfc
from scanner.verdict import Goal, Severity

_UNTRIED = untried("nginx and Apache httpd serve no protocol that begins in plain and is upgraded")


@judged(
    PlainEvidence,
    {"no-starttls": not_applicable("No connection is upgraded to TLS here: TLS begins at once, or is not used.")},
)
def _plain(facts: Facts, _: Parameters, judge: EvidenceJudge[PlainEvidence]) -> Iterable[Finding]:
    if facts.target.endpoint.starttls is None:
        return [Finding("no-starttls")]
    plain = facts.evidence.plain
    return [not_observed(plain.failure)] if plain.value is None else judge(plain.value)


@rule(
    "starttls.required",
    asks=True,
    title="No login is accepted before STARTTLS",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=PlainEvidence,
    why="An attacker on the path can remove STARTTLS from what the server offers. If the server accepts passwords in "
    "clear text, the client then sends one, and the attacker reads it.",
    how="A login is begun on a connection without TLS and cancelled; no password is sent. What counts depends on the "
    "protocol: AUTH (SMTP, LMTP, NNTP, ManageSieve), LOGINDISABLED (IMAP), USER (POP3, FTP), "
    "confidentialityRequired (LDAP), required (XMPP), a session without TLS (RDP, PostgreSQL, MySQL, TDS).",
    sources=(rfc(8314, "4.1"), rfc(4954, "4"), rfc(9051, "11.1"), rfc(2595, "2.3"), rfc(4642, "2.2.2")),
    reasons={
        "refused": passes("A login before STARTTLS is refused: {observed}."),
        "not-offered": passes("The server offers no login before STARTTLS: {observed}."),
        "taken": fails("A login before STARTTLS is accepted, with the password in clear text: {observed}."),
        "no-login": not_applicable("The protocol defines no login."),
    },
    fix=Fix(
        "Have the server refuse logins without TLS.",
        {
            "postfix": "smtpd_tls_auth_only = yes",
            "dovecot": "disable_plaintext_auth = yes\nssl = required",
            "vsftpd": "force_local_logins_ssl=YES\nforce_local_data_ssl=YES",
            "openldap": "# in cn=config; in slapd.conf: security simple_bind=128\nolcSecurity: simple_bind=128",
            "postgresql": "# pg_hba.conf: hostssl instead of host\nhostssl all all all scram-sha-256",
            "mysql": "require_secure_transport = ON",
        },
    ),
    mistake=_UNTRIED,
    proof=Proof.SINGULAR,
)
def _required(plain: PlainEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    login = plain.login.value
    if login is None:
        failure = plain.login.failure
        if failure is not None and failure.reason.value == "unsupported":
            return [Finding("no-login")]
        return [not_observed(failure)]
    reason = {
        PlainLogin.REFUSED: "refused",
        PlainLogin.NOT_OFFERED: "not-offered",
        PlainLogin.TAKEN: "taken",
    }[login]
    return [Finding(reason, plain.said or login.value, "a login is refused before TLS")]


@rule(
    "starttls.no-injection",
    opt_in=True,
    title="Commands sent before TLS are not carried out inside it",
    goal=Goal.INTEGRITY,
    severity=Severity.HIGH,
    of=PlainEvidence,
    why="An attacker on the path can append commands to STARTTLS; the server attributes them to the user, and may "
    "send the attacker the password that follows.",
    how="A command is sent in the same segment as the request for TLS; nothing is sent inside TLS, and no answer may "
    "come there. It looks like an attack, and is left out by --no-intrusive.",
    sources=(
        rfc(3207, "4.2"),
        attack("CVE-2011-0411", "https://nvd.nist.gov/vuln/detail/CVE-2011-0411"),
        attack("NO STARTTLS (2021)", "https://nostarttls.secvuln.info/"),
    ),
    reasons={
        "discarded": passes("What was sent before TLS was not carried out inside it."),
        "executed": fails("A command that was sent before TLS was carried out inside it: {observed}."),
        "no-lines": not_applicable("The protocol has no commands that could be sent ahead."),
    },
    fix=Fix("Update the server; it must discard what it has read when TLS begins."),
    mistake=_UNTRIED,
    proof=Proof.SINGULAR,
)
def _no_injection(plain: PlainEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    failure = plain.injection.failure
    if failure is not None and failure.reason.value == "unsupported":
        return [Finding("no-lines")]
    if unknown := unproven(plain.injection, good=False):
        return [unknown]
    expected = "silence inside TLS"
    return [Finding("executed" if plain.injection.value else "discarded", "an answer to it", expected)]
