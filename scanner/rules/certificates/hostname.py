"""Does a certificate speak for a name? RFC 9525: subjectAltName alone counts, the common name never.

No kept library offers this on its own: `service-identity` wants live connection objects, and `cryptography` matches
names only together with building a path.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import idna

if TYPE_CHECKING:
    from scanner.evidence import Certificate


def covers(certificate: Certificate, host: str) -> bool:
    """Whether an entry of the certificate's subjectAltName matches `host`, a DNS name or an IP address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return any(matches(pattern, host) for pattern in certificate.dns_names)
    return any(_same_address(entry, address) for entry in certificate.ip_addresses)


def matches(pattern: str, host: str) -> bool:
    """Whether a dNSName entry matches a host name (RFC 9525 section 6.3).

    Labels are compared without case, as A-labels. An asterisk stands for exactly one label, and only as the whole of
    the left-most one; at least two labels must follow it, so that no certificate speaks for a whole top-level domain.
    """
    wanted, entry = _labels(host), _labels(pattern)
    if not wanted or not entry or len(wanted) != len(entry):
        return False
    if entry[0] != "*":
        return entry == wanted and "*" not in pattern
    return entry[1:] == wanted[1:] and len(entry) > 2 and not any("*" in label for label in entry[1:])  # noqa: PLR2004  # two labels and the asterisk


def under(name: str, domain: str) -> bool:
    """Whether `name` is `domain` or lies under it."""
    labels, parents = _labels(name), _labels(domain)
    return bool(parents) and labels[-len(parents) :] == parents


def _labels(name: str) -> tuple[str, ...]:
    """The labels in lower case, as A-labels; empty where the name is none. A final dot does not count."""
    name = name.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            return ()
    labels = tuple(name.split("."))
    return labels if all(labels) else ()


def _same_address(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(entry) == address
    except ValueError:
        return False
