"""Good servers, and servers whose certificate or chain is not what it should be."""

from scanner.lab.case import Case, expect
from scanner.lab.certificates import CertificateRecipe

GOOD = expect(
    passes="""
    proto.no-ssl2 proto.no-ssl3 proto.no-tls1.0 proto.no-tls1.1 proto.tls1.2 proto.tls1.3
    cipher.no-null cipher.no-anonymous cipher.no-export cipher.no-rc4 cipher.no-64bit-block cipher.forward-secrecy
    comp.none
    integrity.aead integrity.no-weak-mac integrity.extended-master-secret integrity.secure-renegotiation
    integrity.no-early-data
    cert.trusted cert.hostname cert.valid-now cert.expiry cert.chain-complete cert.chain-order cert.key cert.signature
    cert.lifetime cert.usage
    vuln.heartbleed vuln.ccs-injection vuln.robot vuln.crime vuln.renegotiation-dos vuln.poodle vuln.sweet32
    https.active https.redirect https.redirect-permanent https.hsts https.hsts-max-age https.hsts-subdomains
    https.secure-cookies
    """
)

CASES = (
    Case(name="good", description="Nothing: TLS 1.2 and 1.3, AEAD with forward secrecy, HSTS, a redirect", expected=GOOD),
    Case(
        name="expired",
        description="The certificate expired three days ago",
        certificate=CertificateRecipe(from_day=-45, to_day=-3),
        expected=expect("cert.hostname cert.chain-complete cert.lifetime proto.tls1.3", "cert.valid-now cert.expiry"),
    ),
    Case(
        name="wrong-host",
        description="The certificate is for another host name",
        certificate=CertificateRecipe(names=("elsewhere.lab.example",)),
        expected=expect("cert.valid-now cert.trusted cert.chain-complete", "cert.hostname"),
    ),
    Case(
        name="self-signed",
        description="The certificate is signed by its own key",
        certificate=CertificateRecipe(issuer="self"),
        expected=expect("cert.hostname cert.valid-now", "cert.trusted"),
    ),
)
