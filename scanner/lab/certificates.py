"""The lab's certification authorities and the certificates that they issue, flaws included.

Everything is made anew at each start: no private key is ever kept in the repository, and every validity period is
relative to the moment of the start, so the lab is as right in five years as it is today.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from scanner.lab.ct_log import CtLog, extension, sct_list, with_scts
from scanner.lab.publications import Publisher, RevocationKind, is_list, url_of
from scanner.lab.weak_keys import weak_key

KeyKind = Literal[
    "ecdsa", "p-521", "brainpool", "ed25519",
    "rsa", "rsa-1024", "rsa-close-primes", "rsa-roca", "rsa-small-factor", "rsa-exponent-3",
    "rsa-shared-prime-1", "rsa-shared-prime-2",
]  # fmt: skip
IssuerKind = Literal[
    "intermediate", "rsa-intermediate", "ending-intermediate", "revoked-intermediate", "untrusted", "root", "self"
]  # fmt: skip
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

# DER of the two algorithm identifiers. They differ in one byte, which is what makes `_resign_with_sha1` possible.
_SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")


class CertificateRecipe(Struct, frozen=True, kw_only=True):
    """How a server's certificate and the chain that it sends are to be made. Days are relative to the lab's start.

    The default is a certificate which is right in every way. Its 46 days meet the limit of 47 days that the CA/Browser
    Forum's Baseline Requirements (section 6.3.2) have for 2029, so no date to come makes it a wrong one.
    """

    key: KeyKind = "ecdsa"
    names: tuple[str, ...] | None = None  # None: the server's own host name
    from_day: float = -1
    to_day: float = 45
    issuer: IssuerKind = "intermediate"
    signature: Literal["sha256", "sha1"] = "sha256"
    usage: Literal["server", "client"] = "server"
    chain: Literal["complete", "leaf-only", "reversed", "foreign"] = "complete"
    subject: tuple[tuple[x509.ObjectIdentifier, str], ...] | None = None  # None: the first name as common name
    ca: bool = False  # whether it calls itself an authority
    must_staple: bool = False
    responder: str | None = None  # the URL of the OCSP responder that it names
    revocation: RevocationKind | None = None  # what the list or responder says that it names
    names_issuer: bool = False  # whether it names where its issuer's certificate is, which lies there
    staple: Literal["good", "revoked"] | None = None  # what the OCSP response says that is made along with it
    scts: Literal[0, 2, 3, 4] = 0  # embedded SCTs, of the lab's own logs
    forged_scts: bool = False  # whether the logs signed something else
    delivers: Literal["tls", "staple"] | None = None  # where two SCTs come along in the handshake
    malformed: tuple[x509.ObjectIdentifier, ...] = ()  # extensions that hold garbage


class Identity(Struct, frozen=True):
    """A private key and the certificates that a server sends with it, its own first."""

    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    staple: bytes | None = None  # an OCSP response about the first certificate, DER
    sct_list: bytes = b""  # what the handshake's extension with SCTs holds; none where it is not sent

    @property
    def pem(self) -> bytes:
        """Key and chain in one PEM text, as `ssl.SSLContext.load_cert_chain` takes it."""
        return self.key_pem + self.chain_pem

    @property
    def key_pem(self) -> bytes:
        """The private key, unencrypted PKCS #8."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def chain_pem(self) -> bytes:
        """The certificates in the order in which the server sends them."""
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.chain)


class CertificateAuthority:
    """A root that clients are given, its two intermediates, and a root which nobody trusts.

    Keys which are slow to make are made at first use and shared: no case depends on having its own RSA key.
    """

    def __init__(self, now: datetime) -> None:
        """`now` (aware, UTC) is what all validity periods count from. `published` is what it publishes, by path."""
        self._now = now
        self._publisher = Publisher(now)
        self.published: dict[str, bytes] = {}
        self.logs = [CtLog(f"Lab operator {number % 2 + 1}", f"Lab log {number + 1}") for number in range(4)]

    @cached_property
    def root(self) -> Identity:
        """The lab's root: the only certificate which a client has to trust."""
        return self._authority("Nightseal Lab Root", None)

    @cached_property
    def intermediate(self) -> Identity:
        """The issuer of nearly every certificate."""
        return self._authority("Nightseal Lab Intermediate", self.root)

    @cached_property
    def rsa_intermediate(self) -> Identity:
        """An issuer with an RSA key, for RSA chains and for signatures with SHA-1."""
        return self._authority("Nightseal Lab RSA Intermediate", self.root, self.rsa_key)

    @cached_property
    def revoked_intermediate(self) -> Identity:
        """An issuer that the root's list holds."""
        name = "Nightseal Lab Revoked Intermediate"
        identity = self._authority(name, self.root, source=("list-revoked", "revoked-intermediate"))
        serial = identity.chain[0].serial_number
        self.published["revoked-intermediate"] = self._publisher.revocation_list(
            "list-revoked", serial, self.root, "revoked-intermediate"
        )
        return identity

    @cached_property
    def untrusted_root(self) -> Identity:
        """A root which no client is told to trust."""
        return self._authority("Nightseal Lab Untrusted Root", None)

    @cached_property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        """The RSA key of 2048 bits that all cases share."""
        return rsa.generate_private_key(65537, 2048)

    def issue(self, recipe: CertificateRecipe, host: str) -> Identity:
        """Make the certificate of the server `host`, with the chain that the recipe wants sent."""
        names = recipe.names or (host,)
        key = self._key(recipe.key)
        issuer = self._issuer(recipe.issuer)
        subject = x509.Name(
            [
                # The limits of X.520 are not enforced: what exceeds them exists, and is what a scanner must survive.
                x509.NameAttribute(oid, value, _validate=False)
                for oid, value in recipe.subject or ((NameOID.COMMON_NAME, names[0]),)
            ]
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if recipe.usage == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            self._builder(subject, issuer, key, recipe.from_day, recipe.to_day)
            .add_extension(x509.BasicConstraints(ca=recipe.ca, path_length=None), critical=True)
            .add_extension(
                _key_usage(ca=recipe.ca, server=True, rsa_key=isinstance(key, rsa.RSAPrivateKey)), critical=True
            )
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        )
        if recipe.must_staple:
            builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        if recipe.responder:
            place = x509.UniformResourceIdentifier(recipe.responder)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        path = f"{recipe.revocation}-{host}"
        if recipe.revocation:
            builder = builder.add_extension(*_named_source(recipe.revocation, path))
        if recipe.names_issuer and issuer:
            self.published[f"issuer-of-{host}"] = issuer.chain[0].public_bytes(serialization.Encoding.DER)
            place = x509.UniformResourceIdentifier(url_of(f"issuer-of-{host}"))
            access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        for oid in recipe.malformed:
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"garbage"), critical=False)
        signer = issuer.key if issuer else key
        if recipe.scts:
            builder = builder.add_extension(self._scts(builder, recipe, issuer), critical=False)
        leaf = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        if recipe.signature == "sha1":
            if issuer is None or not isinstance(issuer.key, rsa.RSAPrivateKey):
                msg = f"{host}: only the RSA intermediate signs with SHA-1"
                raise ValueError(msg)
            leaf = _resign_with_sha1(leaf, issuer.key)
        if recipe.revocation and issuer:
            self.published[path] = self._publication(recipe.revocation, leaf, issuer, path)
        staple = self._staple(leaf, issuer, recipe) if issuer and recipe.staple else None
        in_tls = sct_list(self._scts_beside(leaf, recipe)) if recipe.delivers == "tls" else b""
        return Identity(key, self._sent_chain(leaf, issuer, recipe.chain), staple, in_tls)

    def _scts_beside(self, leaf: x509.Certificate, recipe: CertificateRecipe) -> list[bytes]:
        """SCTs for a certificate as it is, of two of the lab's logs, which two operators run."""
        when = self._now - timedelta(hours=1)
        return [log.sct_beside(leaf, when, forged=recipe.forged_scts) for log in self.logs[:2]]

    def _scts(
        self, builder: x509.CertificateBuilder, recipe: CertificateRecipe, issuer: Identity | None
    ) -> x509.UnrecognizedExtension:
        """The extension with SCTs of the lab's logs for what is being built."""
        if issuer is None or isinstance(issuer.key, ed25519.Ed25519PrivateKey):
            msg = "logs take what an authority of the lab issued"
            raise ValueError(msg)
        body = builder.sign(issuer.key, hashes.SHA256()).tbs_certificate_bytes
        when = self._now - timedelta(hours=1)
        chosen = self.logs[: recipe.scts]
        return extension([log.sct(body, issuer.chain[0], when, forged=recipe.forged_scts) for log in chosen])

    def _publication(self, kind: RevocationKind, leaf: x509.Certificate, issuer: Identity, path: str) -> bytes:
        """What the list or responder says that a certificate names."""
        if is_list(kind):
            return self._publisher.revocation_list(kind, leaf.serial_number, issuer, path)  # type: ignore[arg-type]
        delegate = self._responder(issuer, kind) if kind in {"delegated", "not-delegated"} else None
        return self._publisher.response(kind, leaf, issuer, delegate)  # type: ignore[arg-type]

    def _responder(self, issuer: Identity, kind: RevocationKind) -> Identity:
        """A responder to which the issuer has delegated, or one that has another purpose."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nightseal Lab Responder")])
        usage = ExtendedKeyUsageOID.OCSP_SIGNING if kind == "delegated" else ExtendedKeyUsageOID.SERVER_AUTH
        builder = self._builder(name, issuer, key, -1, 45).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        return Identity(key, (builder.sign(issuer.key, hashes.SHA256()),))

    def _staple(self, leaf: x509.Certificate, issuer: Identity, recipe: CertificateRecipe) -> bytes:
        """An OCSP response of a week, as the issuer's own responder would sign it."""
        revoked = recipe.staple == "revoked"
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=issuer.chain[0],
                algorithm=hashes.SHA1(),  # noqa: S303  # RFC 6960 names issuers by it; nothing rests on it
                cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
                this_update=self._now - timedelta(hours=1),
                next_update=self._now + timedelta(days=7),
                revocation_time=self._now - timedelta(hours=2) if revoked else None,
                revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.chain[0])
            .sign(issuer.key, hashes.SHA256())
        )
        der = response.public_bytes(serialization.Encoding.DER)
        if recipe.delivers != "staple" or not isinstance(issuer.key, ec.EllipticCurvePrivateKey):
            return der
        return with_scts(der, self._scts_beside(leaf, recipe), issuer.key)

    def _sent_chain(self, leaf: x509.Certificate, issuer: Identity | None, chain: str) -> tuple[x509.Certificate, ...]:
        above = issuer.chain if issuer else ()
        # A root is not sent: who does not trust it already must not begin to because a server sends it.
        above = tuple(one for one in above if one.subject != one.issuer)
        match chain:
            case "leaf-only":
                return (leaf,)
            case "reversed":
                return (leaf, self.root.chain[0], *above)
            case "foreign":
                return (leaf, self.untrusted_root.chain[0], *above)
        return (leaf, *above)

    def _key(self, kind: KeyKind) -> PrivateKey:  # noqa: PLR0911  # one for each kind
        match kind:
            case "ecdsa":
                return ec.generate_private_key(ec.SECP256R1())
            case "rsa":
                return self.rsa_key
            case "rsa-1024":
                return rsa.generate_private_key(65537, 1024)  # noqa: S505  # this is the flaw
            case "p-521":
                return ec.generate_private_key(ec.SECP521R1())
            case "brainpool":
                return ec.generate_private_key(ec.BrainpoolP256R1())
            case "ed25519":
                return ed25519.Ed25519PrivateKey.generate()
            case _:
                return weak_key(kind)

    def _issuer(self, kind: IssuerKind) -> Identity | None:  # noqa: PLR0911  # one for each kind
        match kind:
            case "intermediate":
                return self.intermediate
            case "rsa-intermediate":
                return self.rsa_intermediate
            case "ending-intermediate":
                return self._authority("Nightseal Lab Ending Intermediate", self.root, to_day=10)
            case "revoked-intermediate":
                return self.revoked_intermediate
            case "untrusted":
                return self.untrusted_root
            case "root":
                return self.root
            case "self":
                return None

    def _builder(
        self, subject: x509.Name, issuer: Identity | None, key: PrivateKey, from_day: float, to_day: float
    ) -> x509.CertificateBuilder:
        signer = issuer.key if issuer else key
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.chain[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + timedelta(days=from_day))
            .not_valid_after(self._now + timedelta(days=to_day))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )

    def _authority(
        self,
        name: str,
        issuer: Identity | None,
        key: PrivateKey | None = None,
        *,
        to_day: float | None = None,
        source: tuple[RevocationKind, str] | None = None,
    ) -> Identity:
        own_key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nightseal Lab"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = (
            self._builder(subject, issuer, own_key, -30, to_day or (3650 if issuer is None else 1825))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None if issuer is None else 0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
        )
        if source is not None:
            builder = builder.add_extension(*_named_source(*source))
        certificate = builder.sign(issuer.key if issuer else own_key, hashes.SHA256())
        return Identity(own_key, (certificate,))


def _named_source(kind: RevocationKind, path: str) -> tuple[x509.ExtensionType, bool]:
    """The extension that names a list or a responder, which is not critical."""
    place = x509.UniformResourceIdentifier(url_of(path))
    if is_list(kind):
        return x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]), False
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
    return x509.AuthorityInformationAccess([access]), False


def _key_usage(*, ca: bool, server: bool = False, rsa_key: bool = False) -> x509.KeyUsage:
    """Build keyUsage for an authority or for a server; only RSA keys encipher (RFC 5280 section 4.2.1.3, RFC 8813)."""
    return x509.KeyUsage(
        digital_signature=server,
        content_commitment=False,
        key_encipherment=rsa_key,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _resign_with_sha1(certificate: x509.Certificate, issuer_key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Sign an RSA-signed certificate again, with SHA-1, which the library rightly refuses to do.

    The two algorithm identifiers and the two signatures are equally long, so both can be exchanged in place.
    """
    signed = certificate.tbs_certificate_bytes
    resigned = signed.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    signature = issuer_key.sign(resigned, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  # this is the flaw
    der = certificate.public_bytes(serialization.Encoding.DER)
    der = der.replace(signed, resigned).replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    return x509.load_der_x509_certificate(der.replace(certificate.signature, signature))
