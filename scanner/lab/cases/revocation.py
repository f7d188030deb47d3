"""Certificates that their authority revoked, or of which it does not say as it should whether it did."""

from scanner.lab.case import Case, expect
from scanner.lab.certificates import CertificateRecipe, IssuerKind
from scanner.lab.publications import RevocationKind

_REST = "cert.trusted cert.hostname cert.valid-now cert.chain-complete cert.signature cert.key"
_BOTH = "cert.revocation cert.revocation-service"


def _case(  # noqa: PLR0913  # what a case is, and how each of the two rules comes out
    name: str,
    description: str,
    kind: RevocationKind,
    *,
    passes: str = "",
    fails: str = "",
    indeterminate: str = "",
    issuer: IssuerKind = "intermediate",
) -> Case:
    return Case(
        name=name,
        description=description,
        certificate=CertificateRecipe(revocation=kind, issuer=issuer),
        expected=expect(f"{_REST} {passes}", fails, indeterminate=indeterminate),
    )


CASES = (
    _case("listed", "Nothing: the CA's list of revoked certificates does not hold it", "list-good", passes=_BOTH),
    _case("listed-in-part", "Nothing: the same, of a list that is in parts", "list-of-part", passes=_BOTH),
    _case(
        "revoked-by-list",
        "The CA's list of revoked certificates holds the certificate",
        "list-revoked",
        passes="cert.revocation-service",
        fails="cert.revocation",
    ),
    _case(
        "stale-list",
        "The CA's list of revoked certificates is past its date",
        "list-stale",
        fails="cert.revocation-service",
        indeterminate="cert.revocation",
    ),
    _case(
        "revoked-intermediate",
        "The CA's list of revoked certificates holds the intermediate",
        "list-good",
        passes="cert.revocation-service",
        fails="cert.revocation",
        issuer="revoked-intermediate",
    ),
    _case("responder-good", "Nothing: the CA's OCSP responder says that the certificate is good", "good", passes=_BOTH),
    _case("responder-revoked", "The CA's OCSP responder says that it is revoked", "revoked", fails="cert.revocation"),
    _case("responder-unknown", "The CA's OCSP responder does not know it", "unknown", indeterminate="cert.revocation"),
    _case(
        "responder-try-later",
        "The CA's OCSP responder asks to be queried later",
        "try-later",
        indeterminate=_BOTH,
    ),
    _case(
        "responder-stale",
        "The CA's OCSP responder gives an answer of last week",
        "stale",
        fails="cert.revocation-service",
        indeterminate="cert.revocation",
    ),
    _case(
        "responder-delegated",
        "Nothing: a responder to which the CA delegated says that the certificate is good",
        "delegated",
        passes=_BOTH,
    ),
    _case(
        "responder-not-delegated",
        "The OCSP response is signed by a certificate of the CA that is for something else",
        "not-delegated",
        indeterminate=_BOTH,
    ),
)
