"""Keys that are broken by what is known of other keys: RSA moduli that share a prime, and keys that were published.

Two moduli that share a prime are both factored by one greatest common divisor. So every modulus that was ever seen is
kept, and their product: each run asks of its new keys alone whether they have a factor in common with it. A key of last
year is told too when one of today breaks it. What is kept are public keys and where they were seen first; the factor is
not kept, as it is the private key.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import mmap
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import gmpy2  # type: ignore[import-untyped]  # it ships no types
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from msgspec import Struct, structs

from scanner.evidence import Certificate, Deployment, KeyTrouble, KeyType, KeyWeakness, TargetEvidence

_LOG: Final = logging.getLogger(__name__)
FILE: Final = "keys.sqlite"
_FEW: Final = 40
"""Up to so many new keys each is divided by by itself; for more, a tree of remainders is less work."""
_MOST_BITS: Final = 16_384
_WAIT_SECONDS: Final = 30.0
_RECORD: Final = 16
"""Bytes of a record in a list of published keys: 15 of a digest, and one that says which list it is from."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS keys (
  digest BLOB PRIMARY KEY, modulus BLOB NOT NULL, fingerprint TEXT NOT NULL, place TEXT NOT NULL, seen_at TEXT NOT NULL,
  shares_with BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS product (id INTEGER PRIMARY KEY CHECK (id = 1), keys INTEGER NOT NULL, value BLOB NOT NULL);
"""


class SeenKey(Struct, frozen=True):
    """An RSA modulus, and the certificate and place where it was seen."""

    modulus: int
    fingerprint: str
    place: str

    @property
    def digest(self) -> bytes:
        """What the modulus is known by."""
        return hashlib.sha256(_bytes(self.modulus)).digest()


def sharing(new: Sequence[int], product: gmpy2.mpz) -> list[int]:
    """The moduli among `new`, all different, that share a factor with each other or with a product of others."""
    numbers = [gmpy2.mpz(number) for number in new]
    if len(numbers) <= _FEW:
        own = gmpy2.mpz(1)
        for number in numbers:
            own *= number
        found = []
        for number in numbers:
            rest = (product % number) * (own // number % number)
            if gmpy2.gcd(rest, number) != 1:
                found.append(int(number))
        return found
    # Bernstein's trees: of the whole product the remainder by each square, on the way down from the root.
    tree = [numbers]
    while len(tree[-1]) > 1:
        level = tree[-1]
        tree.append([level[i] * level[i + 1] if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)])
    remainders = [tree.pop()[0] * product]
    while tree:
        remainders = [remainders[i // 2] % (node * node) for i, node in enumerate(tree.pop())]
    pairs = zip(numbers, remainders, strict=True)
    return [int(number) for number, rest in pairs if gmpy2.gcd(rest // number, number) != 1]


class SeenKeys:
    """The keys in the certificates of a run: of each target they are noted, and its evidence is needed no more.

    Args:
        published: keys whose private halves are public.
    """

    def __init__(self, published: PublishedKeys | None) -> None:
        self._published = published
        self._keys: dict[str, SeenKey | None] = {}
        self._listed: dict[str, int] = {}

    def note(self, target_id: str, evidence: TargetEvidence) -> None:
        """Take in the keys in a target's certificates."""
        place = target_id.rpartition("@")[0]
        for item in (item for deployment in _deployments(evidence) for item in deployment.chain):
            name = item.fingerprint
            if name not in self._keys:
                number = modulus_of(item)
                self._keys[name] = SeenKey(number, name, place) if number is not None else None
                if self._published is not None and (listed := self._published.list_of(item)) is not None:
                    self._listed[name] = listed
            elif (key := self._keys[name]) is not None:
                self._keys[name] = structs.replace(key, place=place)

    def troubles(self, folder: Path | None, now: datetime) -> Mapping[str, Sequence[KeyTrouble]]:
        """What is known of the keys that were noted, by the certificate's fingerprint; only of those with any trouble.

        Args:
            folder: where keys are kept from run to run; None compares those that were noted alone.
            now: when they are seen.
        """
        keys = [key for key in self._keys.values() if key is not None]
        shared = KnownKeys(folder / FILE if folder else None).compare_or_say_why(keys, now)
        found: dict[str, list[KeyTrouble]] = defaultdict(list)
        for key in keys:
            if trouble := shared.get(key.digest):
                found[key.fingerprint].append(replace(trouble, certificate=key.fingerprint))
        for name, listed in self._listed.items():
            found[name].append(KeyTrouble(name, KeyWeakness.PUBLISHED, listed=listed))
        return dict(found)


def _deployments(evidence: TargetEvidence) -> tuple[Deployment, ...]:
    tls = evidence.tls.value
    return (tls.certificates.value or ()) if tls is not None else ()


def with_troubles(evidence: TargetEvidence, troubles: Mapping[str, Sequence[KeyTrouble]]) -> TargetEvidence:
    """The evidence with what is known of the keys in its certificates; itself where that is nothing."""
    found = [
        tuple(one for item in shown.chain for one in troubles.get(item.fingerprint, ()))
        for shown in _deployments(evidence)
    ]
    tls = evidence.tls.value
    if tls is None or not any(found):
        return evidence
    shown = tuple(
        replace(deployment, key_troubles=own) for deployment, own in zip(_deployments(evidence), found, strict=True)
    )
    certificates = replace(tls.certificates, value=shown)
    return replace(evidence, tls=replace(evidence.tls, value=replace(tls, certificates=certificates)))


@contextlib.contextmanager
def written(path: Path | None, schema: str) -> Iterator[sqlite3.Connection]:
    """A file in which keys are kept from run to run, or memory: what is written there is kept whole, or not at all.

    Raises:
        sqlite3.Error: the file is damaged, or held by somebody else for half a minute.
        OSError: the folder takes no file.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(
        sqlite3.connect(path or ":memory:", timeout=_WAIT_SECONDS, isolation_level=None)
    ) as database:
        database.executescript(schema)
        database.execute("BEGIN IMMEDIATE")
        yield database
        database.execute("COMMIT")


class KnownKeys:
    """The keys that were seen, in a file, or in memory without one. Two runs at once each take their turn."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def compare_or_say_why(self, keys: Sequence[SeenKey], now: datetime) -> Mapping[bytes, KeyTrouble]:
        """The same; where the file cannot be used, this run's keys alone are compared, and it is logged."""
        try:
            return self.compare(keys, now)
        except (sqlite3.Error, OSError) as error:
            _LOG.warning("%s cannot be used, so keys are compared only with those of this run: %s", self._path, error)
            return KnownKeys(None).compare(keys, now)

    def compare(self, keys: Iterable[SeenKey], now: datetime) -> Mapping[bytes, KeyTrouble]:
        """Remember the keys of a run. What is told of those that share a factor, by digest of the modulus.

        Raises:
            sqlite3.Error: the file is damaged, or held by somebody else for half a minute.
            OSError: the folder takes no file.
        """
        seen = {key.digest: key for key in keys if 1 < key.modulus.bit_length() <= _MOST_BITS}
        if not seen:
            return {}
        with written(self._path, _SCHEMA) as database:
            known = {digest for (digest,) in database.execute("SELECT digest FROM keys")}
            new = [key for digest, key in seen.items() if digest not in known]
            if new:
                self._add(database, new, len(known), now)
            return dict(_shared(database, seen))

    @staticmethod
    def _add(database: sqlite3.Connection, new: Sequence[SeenKey], known: int, now: datetime) -> None:
        product = _product(database, known)
        broken = sharing([key.modulus for key in new], product)
        product *= _multiplied([gmpy2.mpz(key.modulus) for key in new])
        rows = [
            (key.digest, _bytes(key.modulus), key.fingerprint, key.place, now.astimezone(UTC).isoformat(), None)
            for key in new
        ]
        database.executemany("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", rows)
        value = gmpy2.to_binary(product)
        database.execute("INSERT OR REPLACE INTO product VALUES (1, ?, ?)", (known + len(new), value))
        # There is next to never any, and only then is it looked for which two share a factor.
        for modulus in broken:
            number, digest = gmpy2.mpz(modulus), hashlib.sha256(_bytes(modulus)).digest()
            for other, value in database.execute("SELECT digest, modulus FROM keys WHERE digest != ?", (digest,)):
                if gmpy2.gcd(number, gmpy2.mpz(int.from_bytes(value))) != 1:
                    pairs = [(other, digest), (digest, other)]
                    database.executemany(
                        "UPDATE keys SET shares_with = ? WHERE digest = ? AND shares_with IS NULL", pairs
                    )


def _product(database: sqlite3.Connection, known: int) -> gmpy2.mpz:
    """The product of all that is known; made anew where the kept one is of another number of keys."""
    kept = database.execute("SELECT keys, value FROM product").fetchone()
    if kept is not None and kept[0] == known:
        return gmpy2.from_binary(kept[1])
    return _multiplied([gmpy2.mpz(int.from_bytes(value)) for (value,) in database.execute("SELECT modulus FROM keys")])


def _multiplied(numbers: Sequence[gmpy2.mpz]) -> gmpy2.mpz:
    """The product, by pairs of numbers of like size, which is far less work than one after the other."""
    level = list(numbers) or [gmpy2.mpz(1)]
    while len(level) > 1:
        level = [level[i] * level[i + 1] if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def _shared(database: sqlite3.Connection, seen: Mapping[bytes, SeenKey]) -> Iterator[tuple[bytes, KeyTrouble]]:
    sql = "SELECT k.digest, o.fingerprint, o.place, o.seen_at FROM keys AS k JOIN keys AS o ON o.digest = k.shares_with"
    for digest, fingerprint, place, seen_at in database.execute(sql):
        if digest in seen:
            yield (
                digest,
                KeyTrouble(
                    seen[digest].fingerprint,
                    KeyWeakness.SHARED_FACTOR,
                    other=fingerprint,
                    place=place,
                    seen_at=datetime.fromisoformat(seen_at),
                ),
            )


class PublishedKeys:
    """A list of keys whose private halves are public, in the form of badkeys' blocklist: sorted records of 16 bytes.

    A record is 15 bytes of the SHA-256 of an RSA modulus, or of the first coordinate of a point, as the shortest
    big-endian bytes, and one byte that tells which list it was taken from.
    """

    def __init__(self, path: Path) -> None:
        """Open a list.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not in that form.
        """
        size = path.stat().st_size
        if size == 0 or size % _RECORD:
            message = f"{path} is not a list of keys: its size is no multiple of {_RECORD} bytes"
            raise ValueError(message)
        with path.open("rb") as file:
            self._records = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._count = size // _RECORD

    def list_of(self, certificate: Certificate) -> int | None:
        """The number of the list that a certificate's key is on; None where it is on none."""
        number = _number_of(certificate.der)
        if number is None:
            return None
        wanted = hashlib.sha256(_bytes(number)).digest()[: _RECORD - 1]
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self._records[middle * _RECORD : middle * _RECORD + _RECORD - 1] < wanted:
                low = middle + 1
            else:
                high = middle
        record = self._records[low * _RECORD : (low + 1) * _RECORD]
        return record[-1] if record[:-1] == wanted else None


def modulus_of(certificate: Certificate) -> int | None:
    """The modulus of an RSA key; None of any other."""
    is_rsa = certificate.key_type in {KeyType.RSA, KeyType.RSA_PSS}
    return _number_of(certificate.der) if is_rsa else None


def _number_of(der: bytes) -> int | None:
    """The modulus of an RSA key, or the first coordinate of a point."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_numbers().n
    return key.public_numbers().x if isinstance(key, ec.EllipticCurvePublicKey) else None


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)
