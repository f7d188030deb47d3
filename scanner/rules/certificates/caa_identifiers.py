"""Which domains in CAA records certificate authorities take for theirs (RFC 8659 section 4.2), by their organisation.

An authority publishes its domains in its certification practice statement, and the CCADB gathers them (report
AllCAAIdentifiersReportCSVV2). These are those of the common public ones, by the organisation (O) that stands in the
names of their intermediates, as of `AS_OF`. One that is not here is not known, which is no reason to accuse anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

AS_OF: Final = date(2026, 11, 1)

_DIGICERT: Final = (
    "digicert.com", "www.digicert.com", "digicert.ne.jp", "cybertrust.ne.jp", "symantec.com", "thawte.com",
    "geotrust.com", "rapidssl.com", "quovadisglobal.com",
)  # fmt: skip
_SECTIGO: Final = ("sectigo.com", "comodo.com", "comodoca.com", "usertrust.com", "trust-provider.com")
_AMAZON: Final = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com", "aws.amazon.com")

IDENTIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "actalis s.p.a.": ("actalis.it",),
    "amazon": _AMAZON,
    "asseco data systems s.a.": ("certum.pl", "certum.eu"),
    "buypass as-983163327": ("buypass.com", "buypass.no"),
    "certigna": ("certigna.fr", "certigna.com"),
    "chunghwa telecom co., ltd.": ("pki.hinet.net", "tls.hinet.net", "eca.hinet.net"),
    "cloudflare, inc.": (*_DIGICERT, *_SECTIGO, "ssl.com"),
    "comodo ca limited": _SECTIGO,
    "d-trust gmbh": ("d-trust.net", "dtrust.de", "d-trust.de", "dtrust.net"),
    "deutsche telekom security gmbh": ("telesec.de",),
    "dhimyotis": ("certigna.fr", "certigna.com"),
    "digicert inc": _DIGICERT,
    "digicert, inc.": _DIGICERT,
    "digicert ltd": _DIGICERT,
    "entrust, inc.": ("entrust.net", "affirmtrust.com"),
    "entrust limited": ("entrust.net", "affirmtrust.com"),
    "geotrust inc.": _DIGICERT,
    "globalsign nv-sa": ("globalsign.com",),
    "godaddy.com, inc.": ("godaddy.com", "starfieldtech.com"),
    "google trust services": ("pki.goog",),
    "google trust services llc": ("pki.goog",),
    "hellenic academic and research institutions ca": ("harica.gr",),
    "identrust": ("identrust.com",),
    "identrust, inc.": ("identrust.com",),
    "internet security research group": ("letsencrypt.org",),
    "izenpe s.a.": ("izenpe.com", "izenpe.eus"),
    "let's encrypt": ("letsencrypt.org",),
    "quovadis limited": _DIGICERT,
    "quovadis trustlink b.v.": _DIGICERT,
    "secom trust systems co.,ltd.": ("secomtrust.net",),
    "sectigo limited": _SECTIGO,
    "ssl corp": ("ssl.com",),
    "ssl corporation": ("ssl.com",),
    "starfield technologies, inc.": ("starfieldtech.com", "godaddy.com"),
    "swisssign ag": ("swisssign.com",),
    "t-systems international gmbh": ("telesec.de",),
    "taiwan-ca": ("twca.com.tw",),
    "thawte, inc.": _DIGICERT,
    "the usertrust network": _SECTIGO,
    "trustasia technologies, inc.": ("trustasia.com",),
    "unizeto technologies s.a.": ("certum.pl", "certum.eu"),
    "zerossl": _SECTIGO,
}
