"""Lists of revoked certificates (RFC 5280 section 5), large ones as well, without taking them apart.

A list of 60 MB has a million entries. The library would encode it again to check its signature, and walk all of it for
each serial number. So it is cut here into what surrounds the entries, which the library reads as a list without any,
and the entries, of which the bytes are searched. The signature is checked over the bytes as they came.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding

from scanner.evidence import RevocationFailure, RevocationStatus, ServiceFault
from scanner.probe.authority.published import Judgement, Unusable, reason_name
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.signatures import made_by

if TYPE_CHECKING:
    from scanner.probe.authority.serials import SerialIndex

Buffer = bytes | mmap.mmap
_SEQUENCE, _INTEGER, _EXTENSIONS = 0x30, 0x02, 0xA0
_TIMES: Final = frozenset({0x17, 0x18})
_LONG_FORM: Final = 0x80
_KNOWN: Final = frozenset(
    {
        x509.IssuingDistributionPoint.oid,
        x509.AuthorityKeyIdentifier.oid,
        x509.CRLNumber.oid,
        x509.FreshestCRL.oid,
    }
)
_PEM: Final = re.compile(rb"-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----")
_MANY: Final = 4
"""After so many questions about one list its serial numbers are put into an index, which takes as long as these."""
_MOST_ENTRIES: Final = 8
"""Entries about one certificate that are read; there is one in a list that is right."""


@dataclass(slots=True)
class RevocationList:
    """A list whose form was read, and whose signature was not yet looked at. `digest` is the SHA-256 of `data`."""

    data: Buffer
    head: x509.CertificateRevocationList
    tbs: tuple[int, int]
    entries: tuple[int, int]
    digest: str
    _asked: int = 0
    _index: SerialIndex | None = field(default=None, repr=False)

    @classmethod
    def read(cls, data: Buffer) -> RevocationList:
        """Read DER, or PEM, which some serve although DER is due.

        Raises:
            Unusable: it is not a list of revoked certificates.
        """
        if data[:5] == b"-----" and (found := _PEM.search(data)):
            with contextlib.suppress(ValueError):
                data = base64.b64decode(re.sub(rb"\s", b"", found[1]), validate=True)
        try:
            start, end = _within(data, 0, len(data), _SEQUENCE)
            if end != len(data):
                raise ValueError("something follows it")
            tbs, after = _within(data, start, end, _SEQUENCE)
            head, entries = _cut(data, tbs, after)
            rest = data[after:end]
            made = x509.load_der_x509_crl(_wrapped(_wrapped(head) + rest))
            digest = hashlib.sha256(data).hexdigest()
            return cls(data, made, (start, after), entries, digest)
        except BROKEN as error:
            raise Unusable(RevocationFailure.MALFORMED, f"not a list of revoked certificates: {error}") from error

    @property
    def this_update(self) -> datetime:
        """When it was made."""
        return self.head.last_update_utc

    @property
    def next_update(self) -> datetime | None:
        """When the next one is due."""
        return self.head.next_update_utc

    def check_signature(self, signers: Sequence[x509.Certificate]) -> None:
        """Check that one of these signed it, and may.

        Raises:
            Unusable: none of them did.
        """
        try:
            algorithm = self.head.signature_hash_algorithm
            parameters = self.head.signature_algorithm_parameters
            pss = parameters if isinstance(parameters, padding.PSS) else None
            signer = next(
                (one for one in signers if one.subject == self.head.issuer and self._made_by(one, algorithm, pss)), None
            )
        except BROKEN as error:
            raise Unusable(RevocationFailure.NOT_SIGNED, f"its signature cannot be read: {error}") from error
        if signer is None:
            named = any(one.subject == self.head.issuer for one in signers)
            failure = RevocationFailure.NOT_SIGNED if named else RevocationFailure.OTHER_SCOPE
            raise Unusable(failure, "not signed by the issuer" if named else "a list of another issuer")
        if isinstance(algorithm, hashes.MD5):
            raise Unusable(RevocationFailure.NOT_SIGNED, "signed with MD5, which proves nothing")
        with contextlib.suppress(x509.ExtensionNotFound, *BROKEN):
            if not signer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
                raise Unusable(RevocationFailure.NOT_SIGNED, "the issuer's keyUsage does not let it sign lists")

    def _made_by(
        self, signer: x509.Certificate, algorithm: hashes.HashAlgorithm | None, pss: padding.PSS | None
    ) -> bool:
        key, signature = signer.public_key(), self.head.signature
        with memoryview(self.data) as whole, whole[slice(*self.tbs)] as signed:
            if algorithm is None:
                return made_by(key, signature, bytes(signed), None)
            hashed = hashlib.new(algorithm.name.replace("-", "_"), signed).digest()
        return made_by(key, signature, hashed, Prehashed(algorithm), pss)

    def judge(
        self, certificate: x509.Certificate, urls: Sequence[str], *, is_ca: bool, some_reasons: bool = False
    ) -> Judgement:
        """What it says of a certificate of its issuer. `urls` are where the certificate says that lists are.

        `some_reasons` tells that the certificate names it for only some reasons of revocation.

        Raises:
            Unusable: it does not speak of certificates like this one, or an entry is malformed.
        """
        try:
            partial = self._scope(urls, is_ca=is_ca) or some_reasons
            entries = itertools.islice(self._entries_of(certificate.serial_number), _MOST_ENTRIES)
            found = [self._entry(entry) for entry in entries]
        except BROKEN as error:
            raise Unusable(RevocationFailure.MALFORMED, f"a malformed list: {error}") from error
        faults = (ServiceFault.SHA1,) if isinstance(self.head.signature_hash_algorithm, hashes.SHA1) else ()
        if found:
            revoked_at, reason = found[0]
            return Judgement(RevocationStatus.REVOKED, self.this_update, self.next_update, faults, reason, revoked_at)
        if partial:
            raise Unusable(RevocationFailure.OTHER_SCOPE, "a list of revocations for only some reasons")
        return Judgement(RevocationStatus.GOOD, self.this_update, self.next_update, faults)

    def _scope(self, urls: Sequence[str], *, is_ca: bool) -> bool:
        """Whether it lists revocations for some reasons alone.

        Raises:
            Unusable: it does not list certificates like this one.
        """
        some_reasons = False
        for extension in self.head.extensions:
            value = extension.value
            if isinstance(value, x509.DeltaCRLIndicator):
                raise Unusable(RevocationFailure.OTHER_SCOPE, "only a list of changes (a delta CRL)")
            if isinstance(value, x509.IssuingDistributionPoint):
                if value.indirect_crl or value.only_contains_attribute_certs or value.relative_name is not None:
                    raise Unusable(RevocationFailure.OTHER_SCOPE, "an indirect list, or one of attribute certificates")
                if value.only_contains_ca_certs and not is_ca:
                    raise Unusable(RevocationFailure.OTHER_SCOPE, "a list of only authorities' certificates")
                if value.only_contains_user_certs and is_ca:
                    raise Unusable(RevocationFailure.OTHER_SCOPE, "a list without authorities' certificates")
                names = {getattr(name, "value", None) for name in value.full_name or ()}
                if names and not names & set(urls):
                    raise Unusable(RevocationFailure.OTHER_SCOPE, "a different part of the list")
                some_reasons = bool(value.only_some_reasons)
            elif extension.critical and extension.oid not in _KNOWN:
                oid = extension.oid.dotted_string
                raise Unusable(RevocationFailure.MALFORMED, f"a critical extension that is not known: {oid}")
        return some_reasons

    def _entry(self, entry: bytes) -> tuple[datetime, str | None]:
        """When and why a certificate was revoked. Raises what the library raises, and `Unusable`."""
        made = x509.load_der_x509_crl(_with_entry(self.head, entry))
        (item,) = made
        reason = None
        for extension in item.extensions:
            if isinstance(extension.value, x509.CRLReason):
                reason = extension.value.reason
            elif isinstance(extension.value, x509.CertificateIssuer) or (
                extension.critical and not isinstance(extension.value, x509.InvalidityDate)
            ):
                raise Unusable(RevocationFailure.OTHER_SCOPE, "an entry about a certificate of another issuer")
        if reason is x509.ReasonFlags.remove_from_crl:
            raise Unusable(RevocationFailure.MALFORMED, "an entry that only a list of changes may have")
        return item.revocation_date_utc, reason_name(reason)

    def _entries_of(self, serial: int) -> Iterator[bytes]:
        """Every entry with a serial number, whole."""
        number = _integer(serial)
        for at in self._places_of(number):
            if (entry := _entry_at(self.data, at, *self.entries)) is not None:
                yield entry

    def _places_of(self, number: bytes) -> Iterator[int]:
        """Wherever the bytes of a serial number stand among the entries."""
        self._asked += 1
        if self._asked == _MANY + 1:
            # Only a list about which much is asked needs numpy.
            from scanner.probe.authority.serials import SerialIndex  # noqa: PLC0415  # numpy takes 0.1 s to load

            self._index = SerialIndex.of(self.data, *self.entries)
        start, end = self.entries
        if self._index is not None and self._index.holds(number):
            yield from (at for at in self._index.places_of(number) if self.data[at : at + len(number)] == number)
            return
        while (start := self.data.find(number, start, end)) >= 0:
            yield start
            start += 1


def _entry_at(data: Buffer, number: int, start: int, end: int) -> bytes | None:
    """The entry that begins with the integer at `number`; None where the same bytes stand within another one."""
    for header in (2, 3, 4):
        begin = number - header
        if begin < start or data[begin] != _SEQUENCE:
            continue
        try:
            content, after = _within(data, begin, end, _SEQUENCE)
            time = _end(data, number, after)
        except ValueError:
            continue
        if content == number and time < after and data[time] in _TIMES:
            return data[begin:after]
    return None


def _cut(data: Buffer, at: int, end: int) -> tuple[bytes, tuple[int, int]]:
    """The content of a TBSCertList without its entries, and where their list's content is. Raises ValueError."""
    begin = at
    if data[at] == _INTEGER:
        at = _end(data, at, end)
    at = _end(data, _end(data, at, end), end)  # signature, issuer
    times = 0
    while at < end and data[at] in _TIMES:
        at, times = _end(data, at, end), times + 1
    if times not in {1, 2}:
        raise ValueError("the times are missing")
    if at >= end or data[at] != _SEQUENCE:
        return data[begin:end], (at, at)
    entries = _within(data, at, end, _SEQUENCE)
    return data[begin:at] + data[entries[1] : end], entries


def _within(data: Buffer, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the content of the DER value at `at` begins, and where it ends. Raises ValueError."""
    if at + 2 > end or data[at] != tag:
        raise ValueError("it is made otherwise")
    length, at = data[at + 1], at + 2
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        if not 1 <= size <= 4 or at + size > end:  # noqa: PLR2004  # a length of 4 bytes is 4 GB
            raise ValueError("a length that DER does not have")
        length, at = int.from_bytes(data[at : at + size]), at + size
    if at + length > end:
        raise ValueError("it is cut off")
    return at, at + length


def _end(data: Buffer, at: int, end: int) -> int:
    if at >= end:
        raise ValueError("it is cut off")
    return _within(data, at, end, data[at])[1]


def _wrapped(content: bytes, tag: int = _SEQUENCE) -> bytes:
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(length))) + length + content


def _with_entry(head: x509.CertificateRevocationList, entry: bytes) -> bytes:
    """The list without entries as one with a single entry, in DER."""
    tbs = head.tbs_certlist_bytes
    content, after = _within(tbs, 0, len(tbs), _SEQUENCE)
    _, (at, _) = _cut(tbs, content, after)
    whole = head.public_bytes(Encoding.DER)
    start, end = _within(whole, 0, len(whole), _SEQUENCE)
    signed = _end(whole, start, end)
    return _wrapped(_wrapped(tbs[content:at] + _wrapped(entry) + tbs[at:after]) + whole[signed:end])


def _integer(number: int) -> bytes:
    """A number as DER writes it."""
    size = (number.bit_length() // 8) + 1
    if number < 0:
        size = ((number + 1).bit_length() // 8) + 1
    return bytes((_INTEGER, size)) + number.to_bytes(size, signed=True)
