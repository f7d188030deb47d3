"""Servers whose TLS is right and which do not see to it that it is used."""

from scanner.lab.case import Case, expect
from scanner.lab.http import GOOD_SITE

CASES = (
    Case(
        name="no-redirect",
        description="Plain HTTP serves the page itself",
        plain=GOOD_SITE,
        expected=expect("https.active proto.tls1.3 cert.trusted", "https.redirect"),
    ),
)
