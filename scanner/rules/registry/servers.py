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


def said_of(key: str) -> str:
    """What stands over advice, in English: the key, and that it was never run, where it was not."""
    return f"{key} (from its documentation, not run)" if key in NOT_RUN else key
