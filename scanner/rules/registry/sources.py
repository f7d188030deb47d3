"""The clauses that set requirements, named once."""

from __future__ import annotations

from scanner.verdict import Source


def rfc(number: int, section: str = "") -> Source:
    """A section of an RFC."""
    anchor = f"#section-{section}" if section and section[0].isdigit() else ""
    return Source(
        f"RFC {number}",
        f"section {section}" if section else "",
        url=f"https://www.rfc-editor.org/rfc/rfc{number}{anchor}",
    )


def baseline(section: str) -> Source:
    """A section of the CA/Browser Forum's TLS Baseline Requirements."""
    return Source(
        "CA/Browser Forum TLS Baseline Requirements",
        f"section {section}",
        "2.3.1",
        "https://cabforum.org/working-groups/server/baseline-requirements/documents/",
    )


def attack(name: str, url: str) -> Source:
    """The publication of an attack, with its CVE number where it has one."""
    return Source(name, url=url)


def asvs(requirement: str) -> Source:
    """A requirement of the OWASP Application Security Verification Standard 5.0.0."""
    return Source("OWASP ASVS", requirement, "5.0.0", "https://github.com/OWASP/ASVS/tree/v5.0.0_release/5.0/en")


PRELOAD = Source("HSTS preload list", "submission requirements", url="https://hstspreload.org/#submission-requirements")
M_15_13 = Source("OMB M-15-13", "HTTPS-Only Standard", "2015-06-08", "https://https.cio.gov/guide/")
ASVS_REDIRECT = Source(
    "OWASP ASVS", "v5.0.0-4.1.2", "5.0.0", "https://github.com/OWASP/ASVS/tree/v5.0.0_release/5.0/en"
)
ASVS_COOKIE = Source("OWASP ASVS", "v5.0.0-3.3.1", "5.0.0", "https://github.com/OWASP/ASVS/tree/v5.0.0_release/5.0/en")
ASVS_HSTS = Source("OWASP ASVS", "v5.0.0-3.4.1", "5.0.0", "https://github.com/OWASP/ASVS/tree/v5.0.0_release/5.0/en")
MIXED_CONTENT = Source("W3C Mixed Content", url="https://www.w3.org/TR/mixed-content/")
CHROME_CT = Source(
    "Chrome Certificate Transparency Policy",
    url="https://googlechrome.github.io/CertificateTransparency/ct_policy.html",
)
CIS_INVENTORY = Source(
    "CIS Controls", "1.1", "v8.1", "https://www.cisecurity.org/controls/inventory-and-control-of-enterprise-assets"
)
OUTSYSTEMS_ENFORCE = Source(
    "OutSystems 11 documentation",
    "Enforce HTTPS Security",
    url="https://success.outsystems.com/documentation/11/security/enforce_https_security/",
)
OUTSYSTEMS_ELEMENTS = Source(
    "OutSystems 11 documentation",
    "Secure HTTP Requests",
    url="https://success.outsystems.com/documentation/11/security/secure_http_requests/",
)
OUTSYSTEMS_CERTIFICATE = Source(
    "OutSystems 11 documentation",
    "Use HTTPS by enabling SSL",
    url="https://success.outsystems.com/documentation/11/security/use_https_by_enabling_ssl/",
)
