"""Did somebody issue the certificate from whom certificates are had?"""

from __future__ import annotations

from fnmatch import fnmatchcase

from scanner.evidence import Deployment
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW
from scanner.rules.registry import Facts, Finding, Parameters, fails, not_applicable, passes, rule, untried
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity


class IssuerListParameters(Parameters):
    """Parameters of cert.issuer."""

    allowed: tuple[str, ...] = ()
    """Issuers from whom certificates are had: globs over the whole name of the issuer, such as `*O=Let's Encrypt*`.
    Upper and lower case are one. Empty: nobody is judged."""


@rule(
    "cert.issuer",
    title="The certificate's issuer is on the policy's list",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="A certificate from a CA that the organisation does not use was requested by somebody else, or outside the "
    "normal process; in either case nobody will renew it.",
    how=CERTIFICATES_HOW
    + " The name of the issuer in the certificate is compared with the policy's list. cert.trusted shows that this "
    "issuer signed it.",
    sources=(rfc(5280, "4.1.2.4"),),
    reasons={
        "allowed": passes("The certificate was issued by {observed}."),
        "other-issuer": fails("The certificate was issued by {observed}, which the policy does not list."),
        "no-list": not_applicable("The policy lists no issuers (parameter allowed of cert.issuer)."),
    },
    fix=fixes.ISSUER,
    mistake=untried("the advice is a certificate of another CA, installed as that of cert.trusted"),
    parameters=IssuerListParameters,
)
def _issuer(deployment: Deployment, facts: Facts, parameters: IssuerListParameters) -> list[Finding]:
    if not parameters.allowed:
        return [Finding("no-list")]
    issuer = deployment.leaf.issuer
    allowed = any(fnmatchcase(issuer.lower(), item.lower()) for item in parameters.allowed)
    return [Finding("allowed" if allowed else "other-issuer", issuer or "nobody", listing(parameters.allowed))]
