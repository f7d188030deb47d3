"""Good servers, and servers whose certificate or chain is not what it should be."""

from cryptography.x509.oid import ExtensionOID, NameOID

from scanner.lab.case import WEAK_KEYS, Case, Nginx, OpenSsl, TlsLite, expect
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
    integrity.signature-algorithms
    https.active https.redirect https.redirect-permanent https.hsts https.hsts-max-age https.hsts-subdomains
    https.secure-cookies
    """
)
_RESPONDER = "http://ocsp.lab.example/"  # nobody answers there
_REST_OF_THE_CHAIN = "cert.chain-complete cert.chain-order cert.key cert.signature"
_BESIDE_DATES = f"cert.trusted cert.hostname cert.lifetime proto.tls1.3 {_REST_OF_THE_CHAIN}"

# What an attacker can write into a certificate to reach whoever reads a report of it: markup for a browser, escapes for
# a terminal, marks that turn the reading direction, a formula for a spreadsheet, a second line, and plain bulk.
HOSTILE_SUBJECT = (
    (NameOID.COMMON_NAME, "<script>alert(1)</script>"),
    (NameOID.ORGANIZATION_NAME, "\x1b[31mred\x1b[2J\x1b]0;title\x07"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "\u202egnp.exe\u2066\u200f"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "=cmd|' /C calc'!A0"),
    (NameOID.LOCALITY_NAME, '"><img src=x onerror=alert(2)>\r\nSet-Cookie: x=1'),
    (NameOID.STATE_OR_PROVINCE_NAME, "{{ 7 * 7 }}${7*7}{% raw %}"),
    (NameOID.STREET_ADDRESS, "long " * 1024),
)

CASES = (
    Case(
        name="good",
        description="Nothing: TLS 1.2 and 1.3, AEAD with forward secrecy, HSTS, a redirect",
        expected=GOOD,
    ),
    Case(
        name="good-rsa",
        description="Nothing: the same with an RSA chain of 2048 bits",
        certificate=CertificateRecipe(key="rsa", issuer="rsa-intermediate"),
        expected=GOOD,
    ),
    Case(
        name="good-dual-address",
        description="Nothing: one name with two addresses, and the same certificate on both",
        addresses=("127.0.0.1", "127.0.0.2"),
        expected=GOOD | expect("cert.same-on-all-addresses"),
    ),
    Case(
        name="ipv6",
        description="Nothing: a server that has only an IPv6 address",
        addresses=("::1",),
        expected=GOOD,
    ),
    Case(
        name="wildcard",
        application='kind = "reactive-web"\npaths = [{ path = "/Shop/Checkout" }]',
        description="Nothing: a wildcard certificate that covers the name",
        host_label="www.wildcard",
        certificate=CertificateRecipe(names=("*.wildcard.lab.example",)),
        expected=GOOD,
    ),
    Case(
        name="wildcard-too-wide",
        description="A wildcard certificate whose asterisk would have to stand for two labels",
        host_label="deep.www.wildcard-too-wide",
        certificate=CertificateRecipe(names=("*.wildcard-too-wide.lab.example",)),
        expected=expect(f"cert.trusted cert.valid-now {_REST_OF_THE_CHAIN}", "cert.hostname"),
    ),
    Case(
        name="different-certificates",
        description="One name with two addresses, the second of which still has an old certificate",
        addresses=("127.0.0.1", "127.0.0.2"),
        second_certificate=CertificateRecipe(from_day=-30, to_day=10),
        expected=expect("cert.trusted cert.hostname cert.valid-now", "cert.same-on-all-addresses"),
    ),
    Case(
        name="expired",
        description="The certificate expired three days ago",
        certificate=CertificateRecipe(from_day=-45, to_day=-3),
        expected=expect(f"cert.hostname cert.lifetime proto.tls1.3 {_REST_OF_THE_CHAIN}", "cert.valid-now cert.expiry"),
    ),
    Case(
        name="not-yet-valid",
        description="The certificate becomes valid in three days",
        certificate=CertificateRecipe(from_day=3, to_day=49),
        expected=expect(f"cert.hostname cert.lifetime proto.tls1.3 {_REST_OF_THE_CHAIN}", "cert.valid-now"),
    ),
    Case(
        name="expiring-soon",
        description="The certificate has five days left",
        certificate=CertificateRecipe(from_day=-40, to_day=5.5),
        expected=expect(f"cert.valid-now {_BESIDE_DATES}", "cert.expiry"),
    ),
    Case(
        name="expiring",
        description="The certificate has twenty days left",
        certificate=CertificateRecipe(from_day=-25, to_day=20.5),
        expected=expect(f"cert.valid-now {_BESIDE_DATES}", "cert.expiry"),
    ),
    Case(
        name="long-lifetime",
        description="The certificate is valid for two years",
        certificate=CertificateRecipe(to_day=730),
        expected=expect(f"cert.valid-now cert.expiry cert.hostname {_REST_OF_THE_CHAIN}", "cert.lifetime"),
    ),
    Case(
        name="renewed-half-yearly",
        description="The certificate lasts 199 days, longer than will be allowed when it is renewed",
        certificate=CertificateRecipe(to_day=198),
        expected=expect("cert.valid-now cert.expiry cert.trusted cert.hostname", "cert.renewal-ready"),
    ),
    Case(
        name="wrong-host",
        description="The certificate is for another host name",
        certificate=CertificateRecipe(names=("elsewhere.lab.example",)),
        expected=expect(f"cert.valid-now cert.trusted {_REST_OF_THE_CHAIN}", "cert.hostname"),
    ),
    Case(
        name="self-signed",
        description="The certificate is signed by its own key",
        certificate=CertificateRecipe(issuer="self"),
        expected=expect("cert.hostname cert.valid-now cert.expiry cert.key", "cert.trusted"),
    ),
    Case(
        name="untrusted-ca",
        description="The certificate leads to a root that no trust store has",
        certificate=CertificateRecipe(issuer="untrusted"),
        expected=expect("cert.hostname cert.valid-now cert.expiry cert.key", "cert.trusted"),
    ),
    Case(
        name="missing-intermediate",
        description="The intermediate certificate is not sent",
        certificate=CertificateRecipe(chain="leaf-only"),
        expected=expect("cert.hostname cert.valid-now cert.expiry cert.key", "cert.chain-complete"),
    ),
    Case(
        name="missing-intermediate-named",
        description="The intermediate certificate is not sent; browsers fetch it from where the certificate says it is",
        certificate=CertificateRecipe(chain="leaf-only", names_issuer=True),
        expected=expect("cert.trusted cert.hostname cert.valid-now cert.expiry cert.key", "cert.chain-complete"),
    ),
    Case(
        name="wrong-chain-order",
        description="The chain is sent with the root before the intermediate",
        certificate=CertificateRecipe(chain="reversed"),
        expected=expect("cert.hostname cert.valid-now cert.trusted cert.chain-complete", "cert.chain-order"),
    ),
    Case(
        name="foreign-certificate",
        description="A certificate that has nothing to do with it is sent in the chain",
        certificate=CertificateRecipe(chain="foreign"),
        expected=expect("cert.hostname cert.valid-now cert.trusted cert.chain-complete", "cert.chain-order"),
    ),
    Case(
        name="short-key",
        description="The certificate has an RSA key of 1024 bits",
        certificate=CertificateRecipe(key="rsa-1024"),
        engine=WEAK_KEYS,
        expected=expect("cert.hostname cert.valid-now cert.chain-complete cert.signature", "cert.key"),
        visible={"certificate": r"Public-Key: \(1024 bit\)"},
    ),
    Case(
        name="sha1-signature",
        description="The certificate is signed with SHA-1",
        certificate=CertificateRecipe(issuer="rsa-intermediate", signature="sha1"),
        engine=WEAK_KEYS,
        expected=expect("cert.hostname cert.valid-now cert.key", "cert.signature"),
    ),
    Case(
        name="not-server-auth",
        description="The certificate is for clients: its extended key usage lacks serverAuth",
        certificate=CertificateRecipe(usage="client"),
        expected=expect("cert.hostname cert.valid-now cert.key cert.signature", "cert.usage"),
    ),
    Case(
        name="ca-certificate",
        description="The server's certificate is that of an authority: it could sign for any name",
        certificate=CertificateRecipe(ca=True, issuer="root"),
        expected=expect("cert.hostname cert.valid-now cert.key cert.signature", "cert.usage"),
    ),
    Case(
        name="must-staple",
        description="The certificate demands a stapled OCSP response, and none is sent",
        certificate=CertificateRecipe(must_staple=True, responder=_RESPONDER),
        expected=expect("cert.hostname cert.valid-now cert.key cert.signature", "cert.must-staple cert.stapled"),
    ),
    Case(
        name="stapled",
        description="Nothing: the certificate demands a stapled OCSP response, and one is sent that says good",
        certificate=CertificateRecipe(must_staple=True, responder=_RESPONDER, staple="good"),
        engine=Nginx(),
        expected=expect("cert.must-staple cert.stapled cert.revocation cert.trusted cert.hostname proto.tls1.3"),
    ),
    Case(
        name="revoked",
        description="A stapled OCSP response says that the certificate is revoked",
        certificate=CertificateRecipe(responder=_RESPONDER, staple="revoked"),
        engine=Nginx(),
        expected=expect("cert.stapled cert.trusted cert.hostname cert.valid-now", "cert.revocation"),
    ),
    Case(
        name="logged",
        description="Nothing: the certificate holds three SCTs, as one of a public CA would",
        certificate=CertificateRecipe(scts=3),
        expected=GOOD,
    ),
    Case(
        name="forged-scts",
        description="The certificate holds three SCTs that its logs never signed",
        certificate=CertificateRecipe(scts=3, forged_scts=True),
        expected=GOOD,
    ),
    Case(
        name="logged-in-handshake",
        description="Two SCTs come in the handshake's extension, and none in the certificate",
        certificate=CertificateRecipe(delivers="tls"),
        engine=TlsLite(),
        expected=expect("cert.trusted cert.hostname cert.valid-now cert.key proto.tls1.2", "proto.tls1.3"),
    ),
    Case(
        name="forged-in-handshake",
        description="Two SCTs come in the handshake's extension that their logs never signed",
        certificate=CertificateRecipe(delivers="tls", forged_scts=True),
        engine=TlsLite(),
        expected=expect("cert.trusted cert.hostname cert.valid-now cert.key proto.tls1.2", "proto.tls1.3"),
    ),
    Case(
        name="logged-in-staple",
        description="Two SCTs come in the stapled OCSP response, and none in the certificate",
        certificate=CertificateRecipe(responder=_RESPONDER, staple="good", delivers="staple"),
        engine=Nginx(),
        expected=expect("cert.stapled cert.revocation cert.trusted cert.hostname proto.tls1.3"),
    ),
    Case(
        name="malformed-extension",
        description="The list of SCTs in the certificate is garbage; everything else can be read",
        certificate=CertificateRecipe(malformed=(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS,)),
        expected=expect(
            "cert.trusted cert.hostname cert.valid-now cert.key cert.signature cert.lifetime", "cert.usage"
        ),
    ),
    Case(
        name="hostile-certificate",
        description="The subject holds markup, terminal escapes, a formula and 5 kB of text",
        certificate=CertificateRecipe(subject=HOSTILE_SUBJECT),
        expected=expect("https.active cert.valid-now cert.hostname cert.key cert.signature proto.tls1.3"),
    ),
    Case(
        name="client-certificate-required",
        application='kind = "traditional-web"\nhttps = "tls-client-certificate"',
        description="Nothing: the server demands a client certificate",
        engine=OpenSsl(client_certificate="required", security_level=2),
        expected=expect("https.active proto.tls1.3 cert.hostname cert.valid-now cert.trusted"),
    ),
    Case(
        name="client-certificate-optional",
        application='kind = "traditional-web"\nhttps = "tls-client-certificate"',
        description="Nothing: the server asks for a client certificate and works without one",
        engine=OpenSsl(client_certificate="optional", security_level=2),
        expected=expect("https.active proto.tls1.3 cert.hostname cert.valid-now cert.trusted https.hsts"),
    ),
)
