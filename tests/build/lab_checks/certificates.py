"""Checks of what is in certificates, and of what CAs publish about them."""

from __future__ import annotations

import http.client
import math
import ssl
import subprocess
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.lab import Lab, LabServer
from tests.build.lab_checks.client import (
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    ask,
    check,
    client,
    connect,
    days_left,
    distrust,
    get,
    get_plain,
    handshake,
    lifetime,
    refuses,
    strictly_valid,
    upgrade_smtp,
)


@check("good", "good-rsa", "good-dual-address", "ipv6", "wildcard")
def nothing_is_wrong(lab: Lab, server: LabServer) -> None:
    assert strictly_valid(lab, server)
    assert distrust(lab, server) == ""
    assert handshake(lab, server, TLS13, TLS13).version == "TLSv1.3"
    assert handshake(lab, server, TLS12, TLS12).version == "TLSv1.2"
    assert refuses(lab, server, TLS10, TLS11)
    assert refuses(lab, server, TLS12, TLS12, ciphers="ALL:!AESGCM:!CHACHA20")
    seen = handshake(lab, server)
    assert days_left(seen.leaf) > 30
    assert lifetime(seen.leaf) < 47
    reply = get(lab, server)
    assert reply.status == 200
    assert reply.one("Strict-Transport-Security") == "max-age=63072000; includeSubDomains; preload"
    assert "; Secure" in reply.one("Set-Cookie")
    assert server.host in reply.body.decode()
    assert (get_plain(server, "/x").status, get_plain(server, "/x").one("Location")) == (
        301,
        f"https://{server.host}/x",
    )
    assert isinstance(seen.leaf.public_key(), rsa.RSAPublicKey) == (server.name == "good-rsa")
    assert (server.address == "::1") == (server.name == "ipv6")
    if server.name == "good-dual-address":
        assert len(set(both_leaves(lab, server))) == 1


def both_leaves(lab: Lab, server: LabServer) -> list[x509.Certificate]:
    addresses = [value.rsplit(":", 1) for value in lab.connect_to[f"{server.host}:{server.port}"]]
    assert [host for host, _ in addresses] == ["127.0.0.1", "127.0.0.2"]
    return [handshake(lab, server, address=(host, int(port))).leaf for host, port in addresses]


@check("different-certificates")
def addresses_differ(lab: Lab, server: LabServer) -> None:
    assert len(set(both_leaves(lab, server))) == 2


@check("wrong-host", "wildcard-too-wide")
def name_does_not_match(lab: Lab, server: LabServer) -> None:
    assert "Hostname mismatch" in distrust(lab, server)


@check("expired", "smtp-expired")
def is_expired(lab: Lab, server: LabServer) -> None:
    if server.starttls:
        with connect(server) as plain:
            upgrade_smtp(plain)
            with pytest.raises(ssl.SSLCertVerificationError, match="has expired"):
                client(lab, verify=True).wrap_socket(plain, server_hostname=server.host)
        return
    assert days_left(handshake(lab, server).leaf) < 0
    assert distrust(lab, server) == "certificate has expired"


@check("not-yet-valid")
def is_not_yet_valid(lab: Lab, server: LabServer) -> None:
    assert distrust(lab, server) == "certificate is not yet valid"


@check("expiring-soon", "expiring")
def expires(lab: Lab, server: LabServer) -> None:
    assert strictly_valid(lab, server)
    assert int(days_left(handshake(lab, server).leaf)) == {"expiring-soon": 5, "expiring": 20}[server.name]


@check("long-lifetime", "renewed-half-yearly")
def lasts_long(lab: Lab, server: LabServer) -> None:
    assert lifetime(handshake(lab, server).leaf) == {"long-lifetime": 731, "renewed-half-yearly": 199}[server.name]


@check("self-signed")
def is_self_signed(lab: Lab, server: LabServer) -> None:
    seen = handshake(lab, server)
    assert [seen.leaf.issuer] == [one.subject for one in seen.chain]
    assert distrust(lab, server) == "self-signed certificate"


@check("untrusted-ca")
def is_untrusted(lab: Lab, server: LabServer) -> None:
    leaf = handshake(lab, server).leaf
    assert leaf.issuer != leaf.subject
    assert distrust(lab, server) == "unable to get local issuer certificate"


@check("missing-intermediate")
def lacks_intermediate(lab: Lab, server: LabServer) -> None:
    seen = handshake(lab, server)
    assert len(seen.chain) == 1
    assert "Intermediate" in seen.leaf.issuer.rfc4514_string()
    assert distrust(lab, server) == "unable to get local issuer certificate"


@check("wrong-chain-order", "foreign-certificate")
def chain_is_out_of_order(lab: Lab, server: LabServer) -> None:
    leaf, second, third = handshake(lab, server).chain
    assert leaf.issuer == third.subject != second.subject
    root = x509.load_pem_x509_certificate(lab.ca_file.read_bytes())
    assert (second == root) == (server.name == "wrong-chain-order")
    assert distrust(lab, server) == ""


def rsa_numbers(lab: Lab, server: LabServer) -> tuple[int, int]:
    numbers = handshake(lab, server).leaf.public_key().public_numbers()
    return numbers.n, numbers.e


@check("weak-rsa-close-primes")
def primes_are_close(lab: Lab, server: LabServer) -> None:
    modulus, _ = rsa_numbers(lab, server)
    root = math.isqrt(modulus) + 1
    assert any(math.isqrt(left) ** 2 == left for left in ((root + step) ** 2 - modulus for step in range(10_000)))


@check("weak-rsa-roca")
def modulus_is_a_power_of_65537(lab: Lab, server: LabServer) -> None:
    modulus, _ = rsa_numbers(lab, server)
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97):
        assert modulus % prime in {pow(65537, power, prime) for power in range(prime)}


@check("weak-rsa-small-factor")
def modulus_has_a_small_factor(lab: Lab, server: LabServer) -> None:
    assert rsa_numbers(lab, server)[0] % 65521 == 0


@check("weak-rsa-shared-prime-1", "weak-rsa-shared-prime-2")
def modulus_shares_a_prime_with_another(lab: Lab, server: LabServer) -> None:
    other = "weak-rsa-shared-prime-2" if server.name.endswith("1") else "weak-rsa-shared-prime-1"
    assert math.gcd(rsa_numbers(lab, server)[0], rsa_numbers(lab, lab.servers[other])[0]).bit_length() == 1024


@check("weak-rsa-exponent-3")
def exponent_is_three(lab: Lab, server: LabServer) -> None:
    assert rsa_numbers(lab, server)[1] == 3


@check("brainpool-key")
def key_is_on_a_brainpool_curve(_lab: Lab, server: LabServer) -> None:
    command = ["openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", "-servername", server.host]
    done = subprocess.run(
        [*command, "-tls1_2", "-curves", "P-256:brainpoolP256r1:brainpoolP384r1"],
        input=b"",
        capture_output=True,
        timeout=30,
        check=False,
    )
    pem = done.stdout[done.stdout.index(b"-----BEGIN") :]
    assert x509.load_pem_x509_certificate(pem).public_key().curve.name.startswith("brainpool")


@check("intermediate-ends")
def intermediate_ends_before_the_leaf(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain[:2]
    assert days_left(issuer) < 11 < days_left(leaf)


def published(lab: Lab, url: str) -> bytes:
    (place,) = lab.connect_to["pki.lab.example:80"]
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.request("GET", url.removeprefix("http://pki.lab.example"))
    return connection.getresponse().read()


def named(certificate: x509.Certificate) -> str:
    """The one URL that a certificate names for revocation."""
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.CRLDistributionPoints):
            return extension.value[0].full_name[0].value
        if isinstance(extension.value, x509.AuthorityInformationAccess):
            return extension.value[0].access_location.value
    raise AssertionError("it names none")


@check("listed", "listed-in-part", "revoked-by-list", "stale-list", "revoked-intermediate")
def list_says_so(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain
    found = x509.load_der_x509_crl(published(lab, named(leaf)))
    assert found.is_signature_valid(issuer.public_key())
    held = found.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    assert held == (server.name == "revoked-by-list")
    assert (found.next_update_utc < datetime.now(UTC)) == (server.name == "stale-list")
    parts = [item for item in found.extensions if isinstance(item.value, x509.IssuingDistributionPoint)]
    assert bool(parts) == (server.name == "listed-in-part")
    if server.name == "revoked-intermediate":
        above = x509.load_der_x509_crl(published(lab, named(issuer)))
        assert above.get_revoked_certificate_by_serial_number(issuer.serial_number) is not None


@check(
    "responder-good",
    "responder-revoked",
    "responder-unknown",
    "responder-stale",
    "responder-delegated",
    "responder-not-delegated",
)
def responder_says_so(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain
    found = ocsp.load_der_ocsp_response(published(lab, named(leaf)))
    assert found.serial_number == leaf.serial_number
    assert found.certificate_status.name == {"responder-revoked": "REVOKED", "responder-unknown": "UNKNOWN"}.get(
        server.name, "GOOD"
    )
    assert (found.next_update_utc < datetime.now(UTC)) == (server.name == "responder-stale")
    for delegate in found.certificates:
        delegate.verify_directly_issued_by(issuer)
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert (ExtendedKeyUsageOID.OCSP_SIGNING in usage) == (server.name == "responder-delegated")
    assert bool(found.certificates) == server.name.endswith("-delegated")


@check("responder-try-later")
def responder_wants_to_be_asked_later(lab: Lab, server: LabServer) -> None:
    found = ocsp.load_der_ocsp_response(published(lab, named(handshake(lab, server).leaf)))
    assert found.response_status is ocsp.OCSPResponseStatus.TRY_LATER


@check("missing-intermediate-named")
def intermediate_is_where_the_leaf_says(lab: Lab, server: LabServer) -> None:
    (leaf,) = handshake(lab, server).chain
    issuer = x509.load_der_x509_certificate(published(lab, named(leaf)))
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(lab.ca_file.read_bytes()))


@check("sha1-signature")
def is_signed_with_sha1(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain
    assert leaf.signature_hash_algorithm.name == "sha1"
    issuer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


@check("not-server-auth")
def is_not_for_servers(lab: Lab, server: LabServer) -> None:
    usage = handshake(lab, server).leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert distrust(lab, server) == "unsuitable certificate purpose"


@check("ca-certificate")
def is_an_authority(lab: Lab, server: LabServer) -> None:
    assert handshake(lab, server).leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not strictly_valid(lab, server)


@check("must-staple")
def staple_is_missing(lab: Lab, server: LabServer) -> None:
    feature = handshake(lab, server).leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    assert list(feature) == [x509.TLSFeatureType.status_request]


@check("stapled", "revoked")
def staple_is_sent(lab: Lab, server: LabServer) -> None:
    names = ("-servername", server.host, "-CAfile", str(lab.ca_file), "-status")
    command = ("openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", *names)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert f"Cert Status: {'good' if server.name == 'stapled' else 'revoked'}" in done.stdout
    assert distrust(lab, server) == ""


@check("logged", "forged-scts")
def holds_timestamps(lab: Lab, server: LabServer) -> None:
    extensions = handshake(lab, server).leaf.extensions
    assert len(extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value) == 3
    assert strictly_valid(lab, server)


@check("logged-in-handshake", "forged-in-handshake")
def brings_timestamps(lab: Lab, server: LabServer) -> None:
    names = ("-servername", server.host, "-CAfile", str(lab.ca_file), "-serverinfo", "18")
    command = ("openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", *names)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert "BEGIN SERVERINFO FOR EXTENSION 18" in done.stdout
    assert distrust(lab, server) == ""


@check("logged-in-staple")
def staple_brings_timestamps(lab: Lab, server: LabServer) -> None:
    names = ("-servername", server.host, "-CAfile", str(lab.ca_file), "-status")
    command = ("openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", *names)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert "Cert Status: good" in done.stdout
    assert done.stdout.count("Signed Certificate Timestamp:") == 2
    assert distrust(lab, server) == ""


@check("malformed-extension")
def one_extension_is_garbage(lab: Lab, server: LabServer) -> None:
    leaf = handshake(lab, server).leaf
    with pytest.raises(ValueError, match="parsing asn1 value"):
        _ = leaf.extensions
    assert leaf.public_bytes(serialization.Encoding.DER).count(b"garbage") == 1
    # A client that asks for chain and names alone is content.
    context = client(lab, verify=True)
    with connect(server) as plain, context.wrap_socket(plain, server_hostname=server.host) as secured:
        assert ask(secured, server.host).status == 200


@check("hostile-certificate")
def subject_is_hostile(lab: Lab, server: LabServer) -> None:
    subject = handshake(lab, server).leaf.subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "<script>alert(1)</script>"
    text = "".join(str(attribute.value) for attribute in subject)
    assert all(part in text for part in ("\x1b[31m", "\u202e", "=cmd|' /C calc'!A0", "\r\nSet-Cookie", "{{ 7 * 7 }}"))
    assert len(text) > 5000
    assert strictly_valid(lab, server)
