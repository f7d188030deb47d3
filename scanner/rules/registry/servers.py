"""The server programs, clouds and tools that advice is written for, and which of it was never run."""

from __future__ import annotations

from typing import Final

SERVER_PROGRAMS: Final = (
    "apache", "aws", "azure", "caddy", "dovecot", "exim", "gnutls", "go", "google cloud", "haproxy", "iis", "java",
    "kubernetes ingress", "lighttpd", "load balancer", "mariadb", "mosquitto", "nginx", "node", "openldap",
    "outsystems", "postfix", "postgresql", "redis", "squid", "stunnel", "tomcat",
)  # fmt: skip
"""The keys of advice that is for one server program; the others are for tools that go with any."""

NOT_RUN: Final = frozenset(
    {"aws", "azure", "google cloud", "iis", "kubernetes ingress", "load balancer", "mariadb", "outsystems"}
)
"""Those whose lines are written from the makers' documentation: nothing here could run them."""


SHOWN_ON_EACH: Final = frozenset({"nginx", "apache", "haproxy", "node", "tomcat"})
"""The programs on which the lines of all rules are shown, but for `NOT_SHOWN`: tests/lab/test_rule_fixes.py,
tests/lab/test_security_headers.py, tests/servers/test_front_remedies.py."""
SHOWN: Final = frozenset(
    {
        "proto.no-ssl2", "proto.no-ssl3", "proto.no-tls1.0", "proto.no-tls1.1", "proto.no-tls1.2", "proto.tls1.2",
        "proto.tls1.3", "cipher.no-null", "cipher.no-anonymous", "cipher.no-export", "cipher.no-rc4",
        "cipher.no-64bit-block", "cipher.forward-secrecy", "cipher.allowed", "cipher.server-preference",
        "kex.allowed-groups", "kex.dh-parameters", "kex.min-dh-bits", "kex.min-ec-bits", "kex.post-quantum",
        "integrity.aead", "integrity.no-weak-mac", "integrity.encrypt-then-mac", "integrity.extended-master-secret",
        "integrity.fallback-scsv", "vuln.padding-oracle", "vuln.raccoon", "vuln.lucky13", "vuln.robot", "vuln.poodle",
        "vuln.beast", "vuln.sweet32", "vuln.freak", "vuln.drown", "vuln.logjam", "vuln.renegotiation-dos",
        "integrity.secure-renegotiation", "starttls.required",
    }
)  # fmt: skip
"""The rules whose advice for the other programs is shown on them (tests/servers/test_remedies.py)."""
NOT_SHOWN: Final = frozenset(
    {
        *((program, "kex.post-quantum") for program in ("apache", "caddy", "go", "haproxy", "nginx")),
        *(
            (program, rule)
            for program in ("apache", "nginx", "haproxy", "tomcat")
            for rule in ("comp.none", "vuln.crime", "integrity.secure-renegotiation", "vuln.renegotiation-dos")
        ),
        *(
            (program, rule)
            for program in ("apache", "nginx", "haproxy")
            for rule in ("kex.ticket-keys", "vuln.breach", "vuln.opossum")
        ),
        ("java", "integrity.secure-renegotiation"),
        ("haproxy", "integrity.signature-algorithms"),
        ("tomcat", "https.secure-cookies"),
        ("nginx", "https.http3"),
        ("gnutls", "integrity.extended-master-secret"),
    }
)
"""Programs on which the advice for one of these rules could not be shown, or was not."""


def was_run(key: str, rule_id: str) -> bool:
    """Whether a rule's advice for a program was followed on the program, and seen to mend what was found."""
    if key not in SERVER_PROGRAMS:
        return True
    shown = key in SHOWN_ON_EACH or (key not in NOT_RUN and rule_id in SHOWN)
    return shown and (key, rule_id) not in NOT_SHOWN


def said_of(key: str, rule_id: str) -> str:
    """What stands over a rule's advice, in English: the key, and that it was never run, where it was not."""
    return key if was_run(key, rule_id) else f"{key} (from its documentation, not run)"
