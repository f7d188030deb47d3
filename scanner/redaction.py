"""A run as others may see it: hosts, addresses, names and keys replaced, and judged as before.

The same original gets the same substitute everywhere in one export, and another in the next: a host is replaced label
by label, so that a wildcard still covers what it covered and a redirect still leads where it led; an address by one of
the range for benchmarks (RFC 2544) or for documentation (RFC 3849); a URL part by part; digests and serial numbers by
others, since a fingerprint finds its certificate in public logs. Certificates themselves are left out; in the place of
an RSA key stands a sound one of the same size.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from msgspec import Struct, field
from pydantic import TypeAdapter

from scanner.inventory import address_of
from scanner.verdict import RunRecord

KEY_CANNOT_BE_KEPT = "cert.weak-key"
"""The one rule that asks for the key itself."""

_RECORD: TypeAdapter[RunRecord] = TypeAdapter(RunRecord)
_HOST_KEYS = frozenset({"host", "dns_names", "caa_domain", "domain"})
_ADDRESS_KEYS = frozenset({"ip", "ip_addresses", "addresses"})
_URL_KEYS = frozenset({"url", "location", "meta_refresh", "script_redirect", "ocsp_urls", "crl_urls", "issuer_urls"})
_DIGEST_KEYS = frozenset(
    {
        "fingerprint",
        "spki",
        "serial",
        "path",
        "missing",
        "config_digest",
        "store_digest",
        "dh_modulus",
    }
)
_NAME_KEYS = frozenset({"environment", "environments", "applications", "application", "owner", "schedule"})
_KEPT_KEYS = frozenset({
    # What is judged by, and when.
    "rule", "reason", "sources", "policy", "goal", "severity", "status", "tool_version", "engines",
    "not_before", "not_after", "started_at", "finished_at", "this_update", "next_update", "produced_at", "expires",
    # Words of closed lists, which an environment may be called like.
    "trigger", "role", "environment_kind", "kind", "starttls", "implied_by", "named_by", "purpose", "end", "identity",
    "protocol", "key_type", "scheme", "method", "same_site", "certificate_status", "http_version", "tag",
    # Terms of TLS and X.509.
    "groups", "group", "curve", "alpn", "intolerances", "signature_schemes", "signature_algorithm", "signature_hash",
    "key_usage", "extended_key_usage", "unreadable_extensions", "dh_prime", "store", "name",
})  # fmt: skip
_HOSTLIKE = re.compile(r"(?<![\w.-])(?:\*\.)?(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]+(?![\w-])", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_HEX = re.compile(r"\b[0-9a-f]{16,64}\b")
_ZONE = re.compile(r'\bzone "([^"]+)"')
"""As messages name a zone of workers."""
_DN_VALUE = re.compile(r"(?<==)((?:\\.|[^,+\\])*)")


def redacted(record: RunRecord) -> RunRecord:
    """The record with every host, address, name and key replaced."""
    redactor = Redactor()
    values = _RECORD.dump_python(record, mode="json", exclude_defaults=True)
    # Names first: text that holds them is recognised by them.
    redactor.learn(values)
    return _RECORD.validate_python(redactor.value("", values))


class Redactor(Struct):
    """Substitutes, each made when its original is met for the first time."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    substitutes: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def learn(self, value: Any, key: str = "") -> None:
        """Meet every name of the document, so that text which holds one is changed wherever it stands."""
        if isinstance(value, dict):
            for name, item in value.items():
                self.learn(item, name)
        elif isinstance(value, list):
            for item in value:
                self.learn(item, key)
        elif isinstance(value, str) and key in _NAME_KEYS | _HOST_KEYS | {"subject", "issuer"}:
            self.value(key, value)

    def value(self, key: str, value: Any) -> Any:
        """Replace what stands under a key."""
        if key in _KEPT_KEYS:
            return value
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self.value(key, item) for item in value]
        return self._string(key, value) if isinstance(value, str) else value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        made = {name: self.value(name, item) for name, item in value.items()}
        if "der" in value:
            made["der"] = base64.b64encode(_certificate_of_size(int(value.get("key_bits", 0)), value)).decode()
        if "store" in value and value["store"] not in {"mozilla", "system"}:
            made["store"] = f"/{self.name('store', value['store'])}.pem"
        if "resolvers" in value and value.get("name"):  # a vantage point
            made["name"] = self.name("vantage", value["name"])
        if value.get("seen_from"):
            made["seen_from"] = self.name("zone", value["seen_from"])
        if "trust_stores" in value:
            made["trust_stores"] = {}
        if isinstance(value.get("policies"), list):  # OIDs of a certificate
            made["policies"] = value["policies"]
        if isinstance(value.get("policies"), dict):
            made["policies"] = {self.name("environment", name): item for name, item in value["policies"].items()}
        if {"id", "environment", "host", "port"} <= value.keys():
            made["id"] = f"{made['environment']}/{address_of(made['host'], made['port'])}"
            made["id"] += f"@{made['ip'] or 'unresolved'}"
        return made

    def _string(self, key: str, value: str) -> str:
        if not value:
            return value
        cases: tuple[tuple[bool, Callable[[str], str]], ...] = (
            (key in _HOST_KEYS, self.host),
            (key in _ADDRESS_KEYS, self.address),
            (key in _URL_KEYS or ("://" in value and " " not in value), self.url),
            (key in _DIGEST_KEYS and not value.startswith("/"), self.digest),
            (key in _NAME_KEYS, lambda name: self.name(key.removesuffix("s"), name)),
            (value.startswith("/"), self.path),
            (key in {"subject", "issuer"} and "=" in value, self.distinguished),
        )
        return next((replace(value) for holds, replace in cases if holds), None) or self.text(value)

    def distinguished(self, value: str) -> str:
        """The values of a distinguished name; its attributes stay."""
        return _DN_VALUE.sub(lambda found: self.host_or_name(found[0]), value)

    def name(self, kind: str, value: str) -> str:
        """A substitute for a name: its kind and a number."""
        known = self.substitutes[kind]
        return known.setdefault(value, f"{kind}-{len(known) + 1}")

    def host(self, value: str) -> str:
        """Label by label, from the right: the same domain stays the same domain, a wildcard stays one."""
        try:
            ipaddress.ip_address(value.strip("[]"))
        except ValueError:
            labels = value.rstrip(".").split(".")
            last = labels.pop() if len(labels) > 1 else ""
            made = [label if label == "*" else self.name("h", label.lower()) for label in labels]
            return ".".join([*made, last] if last else made)
        return self.address(value)

    def address(self, value: str) -> str:
        """An address of a range that nobody uses."""
        try:
            original = ipaddress.ip_address(value.strip("[]"))
        except ValueError:
            return self.host(value)
        known = self.substitutes[f"ipv{original.version}"]
        first = ipaddress.ip_address("198.18.0.0" if original.version == 4 else "2001:db8::")  # noqa: PLR2004  # the version
        return known.setdefault(str(original), str(first + len(known) + 1))

    def url(self, value: str) -> str:
        """Scheme and port stay, as what is judged; host, path and query are replaced."""
        try:
            parts = urlsplit(value)
            host, port = parts.hostname, parts.port
        except ValueError:
            return self.name("url", value)
        shown = self.host(host) if host else ""
        shown = f"[{shown}]" if ":" in shown else shown
        place = f"{shown}:{port}" if port else shown
        query = self.name("query", parts.query) if parts.query else ""
        return urlunsplit((parts.scheme, place, self.path(parts.path), query, ""))

    def path(self, value: str) -> str:
        """Segment by segment."""
        path, mark, query = value.partition("?")
        made = "/".join(self.name("p", segment) if segment else "" for segment in path.split("/"))
        return f"{made}?{self.name('query', query)}" if mark else made

    def digest(self, value: str) -> str:
        """Another digest of the same length, which the original cannot be found by."""
        made = hmac.new(self.key, value.lower().encode(), hashlib.sha512).hexdigest()
        return made[: len(value)]

    def host_or_name(self, value: str) -> str:
        """What stands in a distinguished name: a host's name, or that of an organisation or a person."""
        return self.host(value) if _HOSTLIKE.fullmatch(value) else self.name("name", value)

    def text(self, value: str) -> str:
        """Replace in a sentence whatever is known from elsewhere, and whatever looks like a host or an address."""
        value = _ZONE.sub(lambda found: f'zone "{self.name("zone", found[1])}"', value)
        for kind in ("name", "environment", "application", "owner", "schedule"):
            for original, substitute in sorted(self.substitutes[kind].items(), key=lambda item: -len(item[0])):
                if len(original) > 2:  # noqa: PLR2004  # a word of two letters stands in any sentence
                    value = re.sub(rf"(?<!\w){re.escape(original)}(?!\w)", substitute, value)
        value = re.sub(r"\bhttps?://[^\s\"'<>,;)]+", lambda found: self.url(found[0]), value)
        for pattern in (_IPV4, _IPV6):
            value = pattern.sub(lambda found: self.address(found[0]) if _is_address(found[0]) else found[0], value)
        value = _HOSTLIKE.sub(
            lambda found: found[0] if found[0].lower() in self._made() else self.host(found[0]), value
        )
        return _HEX.sub(lambda found: self.digest_of_beginning(found[0]), value)

    def digest_of_beginning(self, value: str) -> str:
        """A fingerprint that is shown in part: the same part of its substitute cannot be found, so it gets its own."""
        return self.digest(value)

    def _made(self) -> set[str]:
        # What was replaced already is not replaced again.
        return {substitute for kind in ("ipv4", "ipv6") for substitute in self.substitutes[kind].values()}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:  # a time of day, or a version of four parts
        return False
    return True


def _certificate_of_size(bits: int, certificate: dict[str, Any]) -> bytes:
    """A certificate that nobody issued, with a sound RSA key of this size where the original has an RSA key."""
    return _made_up(bits if str(certificate.get("key_type", "")).startswith("rsa") else 0)


@lru_cache(maxsize=16)
def _made_up(bits: int) -> bytes:
    signer = ed25519.Ed25519PrivateKey.generate()
    public = rsa.generate_private_key(65_537, bits).public_key() if bits >= 1024 else signer.public_key()  # noqa: PLR2004  # the least that is made
    name = x509.Name([])
    began = datetime(2000, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public).serial_number(1)
    made = builder.not_valid_before(began).not_valid_after(began + timedelta(days=1)).sign(signer, None)
    return made.public_bytes(serialization.Encoding.DER)
