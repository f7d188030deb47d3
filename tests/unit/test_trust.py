"""A path is found or not for its own sake: names and dates are judged by other rules."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.errors import TrustStoreError
from scanner.evidence import Certificate, Deployment, PathValidation, Protocol
from scanner.lab.certificates import _resign_with_sha1
from scanner.probe.x509 import trust
from scanner.probe.x509.chains import MAX_CHAIN, deployment_of
from scanner.probe.x509.parsing import certificate_from_der
from scanner.probe.x509.trust import MOZILLA, load_store, prepare_store, store_digests, validate_paths

NOW = datetime.now(UTC).replace(microsecond=0)
YEAR = timedelta(days=365)
ROOT_KEY, INTERMEDIATE_KEY, LEAF_KEY, OTHER_KEY = (ec.derive_private_key(n, ec.SECP256R1()) for n in range(2, 6))


def issued(  # noqa: PLR0913  # a certificate has that many parts
    subject: str,
    issuer: str,
    key,
    signer,
    *extensions,
    ca: bool | None = False,
    start: datetime = NOW - YEAR / 12,
    end: datetime = NOW + YEAR / 12,
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())


ROOT = issued("Root", "Root", ROOT_KEY, ROOT_KEY, ca=True, start=NOW - 2 * YEAR, end=NOW + 3 * YEAR)
INTERMEDIATE = issued("Issuing", "Root", INTERMEDIATE_KEY, ROOT_KEY, ca=True, start=NOW - YEAR, end=NOW + 2 * YEAR)
LEAF = issued("a.example", "Issuing", LEAF_KEY, INTERMEDIATE_KEY)


def evidence(certificate: x509.Certificate) -> Certificate:
    attempt = certificate_from_der(certificate.public_bytes(Encoding.DER))
    assert attempt.value is not None
    return attempt.value


def fingerprints(*chain: x509.Certificate) -> tuple[str, ...]:
    return tuple(hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest() for certificate in chain)


Look = Callable[..., PathValidation]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Look for a path from what is sent to the root (or `roots`), which alone is trusted."""

    def paths(*sent: x509.Certificate, roots=(ROOT,)) -> PathValidation:
        pem = tmp_path / f"{len(list(tmp_path.iterdir()))}.pem"
        pem.write_bytes(b"".join(root.public_bytes(Encoding.PEM) for root in roots))
        (only,) = validate_paths([evidence(certificate) for certificate in sent], [str(pem)])
        assert only.store == str(pem)
        assert not only.publicly_trusted
        return only

    return paths


@pytest.mark.parametrize(
    "sent",
    [
        (LEAF, INTERMEDIATE),
        (LEAF, INTERMEDIATE, ROOT),
        (LEAF, ROOT, INTERMEDIATE),
        (LEAF, issued("OtherService", "OtherService", OTHER_KEY, OTHER_KEY, ca=True), INTERMEDIATE),
        (
            LEAF,
            issued("Old", "Old", OTHER_KEY, OTHER_KEY, ca=True, start=NOW - 9 * YEAR, end=NOW - 8 * YEAR),
            INTERMEDIATE,
        ),
    ],
    ids=["complete", "with root", "out of order", "with a stranger", "with an expired stranger"],
)
def test_a_path_is_found_whatever_else_is_sent(look, sent):
    found = look(*sent)

    assert found.trusted
    assert found.path == fingerprints(LEAF, INTERMEDIATE, ROOT)


def test_dates_of_what_was_sent_do_not_count(look):
    expired = issued("a", "Issuing", LEAF_KEY, INTERMEDIATE_KEY, start=NOW - YEAR / 2, end=NOW - YEAR / 4)
    future = issued("a", "Issuing", LEAF_KEY, INTERMEDIATE_KEY, start=NOW + YEAR / 4, end=NOW + YEAR / 2)
    endless = issued("a", "Issuing", LEAF_KEY, INTERMEDIATE_KEY, start=NOW - YEAR / 4, end=NOW + 90 * YEAR)
    lapsed = issued("Issuing", "Root", INTERMEDIATE_KEY, ROOT_KEY, ca=True, start=NOW - YEAR, end=NOW - YEAR / 50)

    assert look(expired, INTERMEDIATE).trusted
    assert look(future, INTERMEDIATE).trusted
    assert look(endless, INTERMEDIATE).trusted
    assert look(issued("a", "Root", LEAF_KEY, ROOT_KEY, end=NOW + 90 * YEAR)).trusted
    assert look(LEAF, lapsed).trusted


def test_a_root_that_has_expired_counts_no_more(look):
    expired = issued("Root", "Root", ROOT_KEY, ROOT_KEY, ca=True, start=NOW - 2 * YEAR, end=NOW - YEAR / 50)

    assert not look(LEAF, INTERMEDIATE, roots=(expired,)).trusted


def test_names_and_uses_do_not_count(look):
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])

    assert look(issued("a", "Issuing", LEAF_KEY, INTERMEDIATE_KEY, client), INTERMEDIATE).trusted
    assert look(issued("a", "Issuing", LEAF_KEY, INTERMEDIATE_KEY, ca=True), INTERMEDIATE).trusted
    assert look(issued("a", "Issuing", LEAF_KEY, INTERMEDIATE_KEY, ca=None), INTERMEDIATE).trusted
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505  # what is looked at
    assert look(issued("a", "Issuing", short, INTERMEDIATE_KEY), INTERMEDIATE).trusted


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ((LEAF,), "no path"),
        ((issued("a", "a", LEAF_KEY, LEAF_KEY),), "no path"),
        ((LEAF, issued("Issuing", "Elsewhere", INTERMEDIATE_KEY, OTHER_KEY, ca=True)), "no path"),
        ((issued("a", "Issuing", LEAF_KEY, OTHER_KEY), INTERMEDIATE), ""),
        ((LEAF, issued("Issuing", "Root", INTERMEDIATE_KEY, ROOT_KEY)), "not marked as a CA"),
    ],
    ids=["missing intermediate", "self-signed", "unknown root", "forged signature", "issuer that is no CA"],
)
def test_without_a_path_nothing_is_trusted(look, sent, word):
    found = look(*sent)

    assert not found.trusted
    assert found.path == ()
    assert word in found.detail
    assert found.detail.isprintable()


def test_the_root_that_holds_longest_is_told(look):
    ending = issued("Root", "Root", ROOT_KEY, ROOT_KEY, ca=True, start=NOW - 2 * YEAR, end=NOW + YEAR / 30)
    found = look(LEAF, INTERMEDIATE, roots=(ending,))
    assert (found.root, found.root_ends) == ("CN=Root", NOW + YEAR / 30)
    for roots in ((ending, ROOT), (ROOT, ending)):
        assert look(LEAF, INTERMEDIATE, roots=roots).root_ends == NOW + 3 * YEAR
    assert look(LEAF).root_ends is None
    assert look(LEAF, INTERMEDIATE).path == fingerprints(LEAF, INTERMEDIATE, ROOT)


_STRANGERS = tuple(
    issued(f"OtherService {number}", f"OtherService {number}", OTHER_KEY, OTHER_KEY, ca=True) for number in range(20)
)


def test_no_number_of_strangers_hides_the_issuer(look, tmp_path):
    sent = (LEAF, *_STRANGERS, INTERMEDIATE)
    assert look(*sent).path == fingerprints(LEAF, INTERMEDIATE, ROOT)
    (tmp_path / "root.pem").write_bytes(ROOT.public_bytes(Encoding.PEM))
    found = deployment_of(
        [item.public_bytes(Encoding.DER) for item in sent],
        [str(tmp_path / "root.pem")],
        with_sni=True,
        protocol=Protocol.TLS1_3,
    )

    assert isinstance(found, Deployment)
    assert found.paths[0].trusted
    assert len(found.chain) == MAX_CHAIN
    names = tuple(item.fingerprint for item in found.chain)
    assert names == fingerprints(LEAF, *_STRANGERS[: MAX_CHAIN - 2], INTERMEDIATE), "in the order in which they came"


_NAMESAKE = issued("Root", "Root", OTHER_KEY, OTHER_KEY, ca=True)


@pytest.mark.parametrize(
    ("sent", "roots", "unsigned"),
    [
        (
            (issued("a", "Issuing", LEAF_KEY, OTHER_KEY), INTERMEDIATE),
            (ROOT,),
            "CN=a names CN=Issuing as its issuer, and the key of the one sent did not sign it",
        ),
        (
            (LEAF, INTERMEDIATE),
            (_NAMESAKE,),
            "CN=Issuing names CN=Root as its issuer, and the key of the one in the trust store did not sign it",
        ),
        ((LEAF, INTERMEDIATE), (_NAMESAKE, ROOT), ""),
        ((LEAF,), (ROOT,), ""),
        ((issued("Root", "Root", LEAF_KEY, LEAF_KEY),), (ROOT,), ""),
        ((LEAF, issued("Issuing", "Elsewhere", INTERMEDIATE_KEY, OTHER_KEY, ca=True)), (ROOT,), ""),
    ],
    ids=["forged", "another root of the name", "both roots", "not sent", "self-signed", "unknown root"],
)
def test_who_is_called_an_issuer_and_is_none_is_named(look, sent, roots, unsigned):
    found = look(*sent, roots=roots)

    assert found.unsigned == unsigned
    assert not found.refused
    assert found.trusted == (ROOT in roots and len(roots) > 1)


def test_a_signature_that_nobody_could_check_shows_no_forger(look):
    """A key of a kind that is not known here may have signed it all the same."""
    key = x25519.X25519PrivateKey.from_private_bytes(bytes(31) + b"1")
    assert not look(LEAF, issued("Issuing", "Root", key, ROOT_KEY, ca=True)).unsigned


def test_a_weak_ca_leads_nowhere_and_the_detail_says_why(look):
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  # what is looked at
    intermediate = issued("Weak", "Root", weak, ROOT_KEY, ca=True)

    found = look(issued("a", "Weak", LEAF_KEY, weak), intermediate)

    assert not found.trusted
    assert "too short an RSA key" in found.detail


def test_a_certificate_in_the_store_is_trusted_itself(look):
    own = issued("a", "a", LEAF_KEY, LEAF_KEY)

    assert look(own, roots=(own,)).path == fingerprints(own)


def test_impossible_dates_are_no_error(tmp_path):
    pem = tmp_path / "root.pem"
    pem.write_bytes(ROOT.public_bytes(Encoding.PEM))
    # What certificate_from_der gives for dates that cannot be read.
    odd = dataclasses.replace(
        evidence(LEAF),
        not_before=datetime.max.replace(tzinfo=UTC),
        not_after=datetime.min.replace(tzinfo=UTC),
    )

    (found,) = validate_paths([odd, evidence(INTERMEDIATE)], [str(pem)])

    assert not found.trusted


def test_mozillas_store_is_asked_whatever_is_configured(tmp_path):
    # A root of that store, as if a server presented it: the one public certificate at hand without a network.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (public, *_) = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    pem = tmp_path / "private.pem"
    pem.write_bytes(ROOT.public_bytes(Encoding.PEM))

    (private,) = validate_paths([evidence(public)], [str(pem)])
    mozilla, again = validate_paths([evidence(public)], [MOZILLA, str(pem)])

    assert (private.trusted, private.publicly_trusted) == (False, True)
    assert (mozilla.store, mozilla.trusted, mozilla.publicly_trusted) == (MOZILLA, True, True)
    assert again == private


def test_a_digest_depends_on_the_certificates_alone(tmp_path):
    one, two = tmp_path / "one.pem", tmp_path / "two.pem"
    pems = [item.public_bytes(Encoding.PEM) for item in (ROOT, INTERMEDIATE)]
    one.write_bytes(b"".join(pems))
    two.write_bytes(b"# a comment\n" + b"\n".join(reversed(pems)))

    digests = store_digests([str(one), str(two), MOZILLA])

    assert digests[str(one)] == digests[str(two)] != digests[MOZILLA]
    expected = hashlib.sha256("".join(sorted(fingerprints(ROOT, INTERMEDIATE))).encode()).hexdigest()
    assert digests[str(one)] == expected


def test_a_store_that_was_changed_is_read_again(tmp_path):
    pem = tmp_path / "store.pem"
    pem.write_bytes(ROOT.public_bytes(Encoding.PEM))
    before = load_store(str(pem))
    assert load_store(str(pem)) is before

    pem.write_bytes(ROOT.public_bytes(Encoding.PEM) + INTERMEDIATE.public_bytes(Encoding.PEM))

    assert len(load_store(str(pem)).roots) == 2


def test_a_store_that_is_prepared_is_read_no_more_by_whoever_looks_for_paths(tmp_path):
    pem = tmp_path / "store.pem"
    pem.write_bytes(ROOT.public_bytes(Encoding.PEM))
    for name in (MOZILLA, str(pem)):
        prepare_store(name)
    indices = (trust._by_name, trust._by_fingerprint, trust._library_store)
    before = [index.cache_info().misses for index in indices]

    served = [evidence(issued("a.example", "Root", LEAF_KEY, ROOT_KEY))]
    (found,) = validate_paths(served, [str(pem)])

    assert found.trusted
    assert found.root
    assert [index.cache_info().misses for index in indices] == before


def test_the_systems_store_is_found():
    assert len(load_store("system").roots) > 50


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no PEM certificate"),
        (b"hello\n", "should be a PEM file"),
        (ROOT.public_bytes(Encoding.DER), "openssl x509"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "malformed"),
        (None, "cannot be read"),
    ],
    ids=["empty", "text", "der", "malformed", "missing"],
)
def test_a_store_that_cannot_be_used_is_named(tmp_path, content, word):
    path = tmp_path / "store.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(TrustStoreError, match=word) as raised:
        load_store(str(path))

    assert str(path) in str(raised.value)


def odd_leaf(**changes: object) -> Certificate:
    """A leaf that the root signed, with fields that the library rightly refuses to write."""
    der = issued("a.example", "Root", LEAF_KEY, ROOT_KEY).public_bytes(Encoding.DER)
    certificate = asn1.Certificate.load(der)
    tbs = certificate["tbs_certificate"]
    for field, value in changes.items():
        tbs[field] = value
    if changes.get("version") == "v1":
        tbs["extensions"] = None
    signed = tbs.dump(force=True)
    certificate["signature_value"] = ROOT_KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attempt = certificate_from_der(certificate.dump(force=True))
    assert attempt.value is not None
    return attempt.value


@pytest.mark.parametrize(
    ("changes", "detail"), [({"serial_number": -5}, "negative"), ({"version": "v1"}, "older than X.509 version 3")]
)
def test_what_clients_refuse_of_a_trusted_issuer_is_told_instead_of_the_issuer(tmp_path, changes, detail):
    roots = {"root": ROOT, "stranger": issued("X", "X", OTHER_KEY, OTHER_KEY, ca=True)}
    for name, root in roots.items():
        (tmp_path / name).write_bytes(root.public_bytes(Encoding.PEM))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, other = validate_paths([odd_leaf(**changes)], [str(tmp_path / name) for name in roots])

    assert (found.trusted, found.refused) == (False, True)
    assert detail in found.detail
    assert not other.refused


def test_a_root_that_signed_itself_with_sha1_is_known_to_have_done_so():
    key = rsa.generate_private_key(65537, 2048)
    with_sha256 = issued("Old Root", "Old Root", key, key, ca=True)
    old = evidence(_resign_with_sha1(with_sha256, key))
    forged = evidence(_resign_with_sha1(with_sha256, rsa.generate_private_key(65537, 2048)))

    assert (old.signature_hash, old.self_signed) == ("sha1", True)
    assert not forged.self_signed
