"""Reads the extensions of a certificate, each by itself where one of them is malformed.

The library reads all of them or none. A certificate whose list of SCTs is garbage has names all the same, and a client
that asks for nothing but the names is content with it; so must be what is said of it here.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from asn1crypto.parser import emit, parse  # type: ignore[import-untyped]  # the library is not typed
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from msgspec import Struct

from scanner.evidence import ALL_EXTENSIONS, Extension

BROKEN: Final = (
    ValueError,
    TypeError,
    KeyError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises on certificates that break X.509 in one of the ways that it looks at lazily."""

_KIND: Final = re.compile(r"ParseError \{ kind: (\w+)")
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")

MAX_EXTENSIONS: Final = 100
"""Extensions that are read one by one; real certificates have a dozen."""
_MAX_ITEMS = 2000
"""Names or features that are looked at in one extension."""


def what_is_wrong(error: Exception) -> str:
    """Plain words for what the library raised: its parser of DER describes itself in the notation of its language."""
    kind = _KIND.search(str(error))
    return f"no certificate in DER: {_WORD.sub(' ', kind[1]).lower()}" if kind is not None else str(error)


def places_of(point: x509.DistributionPoint) -> list[str]:
    """Where a distribution point says that a list is: URLs as they stand, and in words what is no URL."""
    found = []
    for name in point.full_name or point.crl_issuer or ():
        if isinstance(name, x509.UniformResourceIdentifier):
            found.append(name.value)
        elif isinstance(name, x509.DirectoryName):
            found.append(f"directory name {name.value.rfc4514_string()}")
        else:
            found.append("a name that is no URL")
    return [*found, "a name relative to its issuer's"] if point.relative_name is not None else found


_EXTENSIONS = {
    x509.SubjectAlternativeName.oid: Extension.SUBJECT_ALT_NAME,
    x509.ExtendedKeyUsage.oid: Extension.EXTENDED_KEY_USAGE,
    x509.KeyUsage.oid: Extension.KEY_USAGE,
    x509.BasicConstraints.oid: Extension.BASIC_CONSTRAINTS,
    x509.NameConstraints.oid: Extension.NAME_CONSTRAINTS,
    x509.AuthorityInformationAccess.oid: Extension.AUTHORITY_INFO_ACCESS,
    x509.CRLDistributionPoints.oid: Extension.CRL_DISTRIBUTION_POINTS,
    x509.CertificatePolicies.oid: Extension.CERTIFICATE_POLICIES,
    x509.TLSFeature.oid: Extension.TLS_FEATURE,
    x509.PrecertificateSignedCertificateTimestamps.oid: Extension.SCT_LIST,
}
_BY_OID: Final[Mapping[str, str]] = {oid.dotted_string: name.value for oid, name in _EXTENSIONS.items()}

_UNIVERSAL, _CONTEXT = 0, 2
_CONSTRUCTED = 1
_INTEGER, _OID, _SEQUENCE = 2, 6, 16
_EXTENSIONS_OF_TBS = 3
"""The tag of the extensions in a TBSCertificate (RFC 5280 section 4.1)."""
_DNS_NAME, _IP_ADDRESS = 2, 7
"""Tags of two of the choices of a GeneralName (RFC 5280 section 4.2.1.6)."""
_STATUS_REQUEST = 5
"""The TLS extension that a must-staple certificate names (RFC 7633 section 6)."""


class Extensions(Struct, frozen=True):
    """What could be read, by the library's type, and the names of the extensions that could not.

    `dns_names` and `ip_addresses` are those of subjectAltName, as sent.
    """

    values: Mapping[type, Any]
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    must_staple: bool = False
    unreadable: tuple[str, ...] = ()


def read_extensions(certificate: x509.Certificate, der: bytes) -> Extensions:
    """Read all extensions at once, or each by itself where the library gives up on one.

    An extension that is there twice is as good as malformed (RFC 5280 section 4.2 forbids it): clients disagree about
    which of the two counts. Nothing raises.
    """
    try:
        values = {type(item.value): item.value for item in certificate.extensions}
    except BROKEN:
        return _one_by_one(der)
    names = values.get(x509.SubjectAlternativeName)
    features: Any = values.get(x509.TLSFeature) or ()
    return Extensions(
        values,
        dns_names=tuple(item.value for item in names or () if isinstance(item, x509.DNSName)),
        ip_addresses=tuple(str(item.value) for item in names or () if isinstance(item, x509.IPAddress)),
        must_staple=any(feature is x509.TLSFeatureType.status_request for feature in features),
    )


def _one_by_one(der: bytes) -> Extensions:
    values: dict[type, Any] = {}
    unreadable: list[str] = []
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    must_staple = False
    try:
        alone = _Alone.of(der)
    except BROKEN:
        return Extensions({}, unreadable=(ALL_EXTENSIONS,))
    times = Counter(oid for oid, _ in alone.extensions)
    # Those that something is read from come first, however many strangers stand before them.
    distinct = sorted(dict(alone.extensions).items(), key=lambda item: item[0] not in _BY_OID)
    for oid, extension in distinct[:MAX_EXTENSIONS]:
        name = _BY_OID.get(oid, oid)
        try:
            if times[oid] > 1:
                raise ValueError("it is there twice")
            # These two are read here as far as they can be: one name of an odd kind does not hide the others.
            if name == Extension.SUBJECT_ALT_NAME:
                dns_names, ip_addresses = _names(_value(extension))
            elif name == Extension.TLS_FEATURE:
                must_staple = _STATUS_REQUEST in _numbers(_value(extension))
            else:
                values |= {type(item.value): item.value for item in alone.read(extension)}
        except x509.UnsupportedGeneralNameType:
            continue  # well-formed, but of a kind that is of no use to anybody
        except BROKEN:
            unreadable.append(name)
    if len(distinct) > MAX_EXTENSIONS:
        unreadable.append(f"{len(distinct) - MAX_EXTENSIONS} more")
    return Extensions(values, dns_names, ip_addresses, must_staple, tuple(unreadable))


class _Alone(Struct, frozen=True):
    """A certificate taken apart, so that it can be given to the library with one of its extensions at a time."""

    head: bytes
    tail: bytes
    extensions: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, der: bytes) -> _Alone:
        """Take it apart. Raises ValueError where it is not made as X.509 says."""
        whole = list(_items(_content(der)))
        head, found = b"", b""
        for kind, _, item in _items(_content(whole[0][2])):
            if kind == (_CONTEXT, _EXTENSIONS_OF_TBS):
                found = _content(item)
            else:
                head += item
        items = tuple((_oid(content), item) for _, content, item in _items(_content(found)))
        return cls(head, b"".join(item for _, _, item in whole[1:]), items)

    def read(self, extension: bytes) -> x509.Extensions:
        """What the library says of one extension. Raises what it raises."""
        wrapped = emit(_CONTEXT, _CONSTRUCTED, _EXTENSIONS_OF_TBS, _sequence(extension))
        der = _sequence(_sequence(self.head + wrapped) + self.tail)
        return x509.load_der_x509_certificate(der).extensions


def _sequence(content: bytes) -> bytes:
    made: bytes = emit(_UNIVERSAL, _CONSTRUCTED, _SEQUENCE, content)
    return made


def _content(der: bytes) -> bytes:
    content: bytes = parse(der, strict=True)[4]
    return content


def _items(data: bytes) -> Iterator[tuple[tuple[int, int], bytes, bytes]]:
    """The values that stand one after the other: class and tag, content, and the whole. Raises ValueError."""
    while data:
        class_, _, tag, header, content, trailer = parse(data)
        whole = header + content + trailer
        yield (class_, tag), content, whole
        data = data[len(whole) :]


def _oid(extension: bytes) -> str:
    """The OID that an Extension begins with, in dotted form."""
    kind, content, _ = next(_items(extension), ((0, 0), b"", b""))
    if kind != (_UNIVERSAL, _OID) or not content or content[-1] & 0x80:
        raise ValueError("an extension without an OID")
    arcs = [0]
    for byte in content:
        arcs[-1] = arcs[-1] << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(0)
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:-1]))


def _value(extension: bytes) -> bytes:
    """What the last part of an Extension, an OCTET STRING, holds."""
    *_, (_, value, _) = _items(_content(extension))
    return value


def _names(value: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dNSName and iPAddress entries of a GeneralNames. Raises ValueError where it is none."""
    entries = _entries(value)
    dns_names = tuple(
        content.decode("ascii", "backslashreplace") for kind, content in entries if kind == (_CONTEXT, _DNS_NAME)
    )
    ip_addresses = tuple(
        str(ipaddress.ip_address(content))
        for kind, content in entries
        if kind == (_CONTEXT, _IP_ADDRESS) and len(content) in {4, 16}
    )
    if not entries or any(class_ != _CONTEXT for (class_, _), _ in entries):
        raise ValueError("no GeneralNames")
    return dns_names, ip_addresses


def _numbers(value: bytes) -> tuple[int, ...]:
    """The numbers of a TLS feature extension. Raises ValueError where it is none."""
    entries = _entries(value)
    if not entries or any(kind != (_UNIVERSAL, _INTEGER) or not content for kind, content in entries):
        raise ValueError("no Features")
    return tuple(int.from_bytes(content, signed=True) for _, content in entries)


def _entries(value: bytes) -> list[tuple[tuple[int, int], bytes]]:
    (kind, content, _), *more = _items(value)
    if kind != (_UNIVERSAL, _SEQUENCE) or more:
        raise ValueError("no sequence")
    entries = [(kind, content) for kind, content, _ in _items(content)]
    if len(entries) > _MAX_ITEMS:
        raise ValueError("too many entries")
    return entries
