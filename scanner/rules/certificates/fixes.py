"""How to mend certificates and chains."""

from __future__ import annotations

from typing import Final

from scanner.rules.registry import Fix, Mistake, untried

_INSTALL: Final = {
    "nginx": "ssl_certificate     /etc/ssl/fullchain.pem;  # the certificate first, then each intermediate\n"
    "ssl_certificate_key /etc/ssl/privkey.pem;",
    "apache": "SSLCertificateFile    /etc/ssl/fullchain.pem\nSSLCertificateKeyFile /etc/ssl/privkey.pem",
    "iis": "# PowerShell: import with the chain, then bind it to the site\n"
    "Import-PfxCertificate -FilePath site.pfx -CertStoreLocation Cert:\\LocalMachine\\My",
    "haproxy": "bind :443 ssl crt /etc/haproxy/site.pem  # certificate, intermediates and key in one file",
    "tomcat": '<Certificate certificateFile="conf/cert.pem" certificateKeyFile="conf/key.pem"\n'
    '             certificateChainFile="conf/chain.pem"/>',
    "node": "https.createServer({ cert: readFileSync('fullchain.pem'), key: readFileSync('privkey.pem') }, handler)",
    "load balancer": "Import certificate, key and chain, and name all three in the client SSL profile or the listener.",
    "outsystems": "Upload a PEM or PFX file with the full chain for the environment's domain; the key up to 4096 bits.",
}
_RENEW: Final = {
    "certbot": "certbot certonly --nginx --key-type ecdsa -d www.example.com",
    **_INSTALL,
    "windows ca": "certreq -enroll -machine WebServer",
}

TRUSTED: Final = Fix(
    "Install a certificate of a CA that the clients trust; or, for a private CA, name its root in [scan] trust_store.",
    _RENEW,
)
NAME: Final = Fix("Have a certificate issued whose subjectAltName holds the name that clients ask for.", _RENEW)
RENEW: Final = Fix("Renew the certificate, and automate its renewal, well before it expires.", _RENEW)
LIFETIME: Final = Fix(
    "Have it issued for a shorter time, and automate its renewal: renewing every 47 days by hand is not practical.",
    {"certbot": "certbot renew  # twice a day, by a timer", "windows ca": "Shorten the validity of the template."},
)
CHAIN: Final = Fix(
    "Let the server send its own certificate first, then each intermediate in order, and nothing else.", _INSTALL
)
CHAIN_EXPIRY: Final = Fix(
    "Install the intermediates that the CA publishes today: a certificate with a later expiry date often exists for "
    "the same key.",
    _INSTALL,
)
KEY: Final = Fix(
    "Generate a new key of an accepted type and size, and have a certificate issued for it.",
    {"openssl": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out privkey.pem", **_RENEW},
)
SIGNATURE: Final = Fix(
    "Have the certificates reissued with SHA-256 or better; configure a private CA to sign with it.",
    {"openssl ca": "default_md = sha256", "windows ca": "certutil -setreg ca\\csp\\CNGHashAlgorithm SHA256"},
)
USAGE: Final = Fix(
    "Have a server certificate issued: extendedKeyUsage serverAuth, keyUsage digitalSignature, no CA.",
    {
        "openssl": "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n"
        "extendedKeyUsage = serverAuth",
        "windows ca": "Use a copy of the template Web Server.",
    },
)
REVOKED: Final = Fix("Replace key and certificate at once, and find out why it was revoked.", _RENEW)
REVOCATION_SERVICE: Final = Fix(
    "Report it to the CA. For your own CA, publish each CRL before the previous one expires, and have the responder "
    "answer GET.",
    {
        "openssl ca": "default_crl_days = 7\n# twice a day, by a timer:\n# openssl ca -gencrl -out ca.crl",
        "windows ca": "certutil -setreg CA\\CRLPeriodUnits 4\ncertutil -setreg CA\\CRLPeriod Days\ncertutil -crl",
    },
)
STAPLE: Final = Fix(
    "Let the server fetch the OCSP response for its own certificate and send it along.",
    {
        "nginx": "ssl_stapling on;\nssl_stapling_verify on;\nresolver 192.0.2.53;  # your own resolver",
        "apache": '# outside <VirtualHost>\nSSLStaplingCache "shmcb:ssl_stapling(32768)"\n'
        "# inside, or for all of them\nSSLUseStapling On",
        "iis": "Staples by itself where it can reach the responder.",
        "haproxy": "# every day, and then reload (HAProxy 3.0 or newer can fetch it: ocsp-update.mode on; not run)\n"
        "openssl ocsp -no_nonce -issuer /etc/haproxy/chain.pem -cert /etc/haproxy/site.pem \\\n"
        "  -url http://ocsp.example.com -respout /etc/haproxy/site.pem.ocsp",
        "tomcat": "# setenv.sh\nCATALINA_OPTS='-Djdk.tls.server.enableStatusRequestExtension=true'",
        "node": "server.on('OCSPRequest', (certificate, issuer, callback) => callback(null, response))",
        "load balancer": "Switch OCSP stapling on in the client SSL profile.",
    },
)
TRANSPARENCY: Final = Fix(
    "Have the certificate reissued: public CAs put the SCTs in, unless they were asked not to.", _RENEW
)
DOMAIN: Final = Fix(
    "Install the environment's own certificate: on a platform, one for the provider's or your domain; elsewhere, an "
    "acquired one.",
    _INSTALL,
)
SAME: Final = Fix("Install the current certificate on every address behind the name, and reload each server.", _INSTALL)
SERVED: Final = Fix(
    "Install the certificate from the file and reload the server, or delete the file and its key if they are not "
    "needed.",
    _INSTALL,
)
CLIENT_CERTIFICATE: Final = Fix(
    "Have a certificate for clients issued by a private CA, and have the server trust that CA.",
    {"openssl": "openssl x509 -in client.pem -noout -ext extendedKeyUsage -issuer"},
)
ISSUER: Final = Fix(
    "Find out who requested it; then have one issued by a CA that the policy lists, or add this CA to the policy.",
    _RENEW,
)
DNSSEC: Final = Fix(
    "Sign the zone again and publish its DS record at the parent, or remove the DS record until the zone is signed "
    "again.",
    {
        "dns": "delv @127.0.0.1 example.com CAA +rtrace\ndig example.com DS +trace\ndig example.com DNSKEY +cd",
    },
)
CAA: Final = Fix(
    "Publish a CAA record that names the CA which issues your certificates.",
    {"dns": 'example.com.  IN  CAA  0 issue "letsencrypt.org"'},
)


def _serving(name: str) -> Mistake:
    """The mistake of serving a certificate that is wrong in one way."""
    return Mistake(
        f"ssl_certificate FOLDER/{name}.pem;\nssl_certificate_key FOLDER/{name}.key;\n"
        "ssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;",
        f"SSLCertificateFile FOLDER/{name}.pem\nSSLCertificateKeyFile FOLDER/{name}.key",
    )


SELF_SIGNED: Final = _serving("self-signed")
OLD: Final = _serving("old")
SHORT_KEY: Final = _serving("short")
REVERSED: Final = _serving("reversed")
NOT_STAPLED: Final = Mistake(
    "ssl_certificate FOLDER/staple.pem;\nssl_certificate_key FOLDER/staple.key;",
    "SSLCertificateFile FOLDER/staple.pem\nSSLCertificateKeyFile FOLDER/staple.key",
)
ONE_NODE: Final = untried("it takes two nodes; the advice is that of cert.chain-complete")
IS_REVOKED: Final = untried("the advice is a new certificate, installed as that of cert.trusted")
UNLOGGED: Final = untried("only public CAs are judged; the advice is a new certificate, as that of cert.trusted")
