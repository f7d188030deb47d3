"""Is the chain that the server sends whole and in order?"""

from __future__ import annotations

from scanner.counting import counted
from scanner.evidence import Deployment
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW, sent_path
from scanner.rules.registry import Facts, Finding, Parameters, fails, indeterminate, passes, rule
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity


@rule(
    "cert.chain-complete",
    title="Every intermediate certificate is sent",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="A browser may fill a gap with a certificate that it saw elsewhere; programs, phones and new browsers cannot, "
    "and the connection fails.",
    how=CERTIFICATES_HOW + " Starting at the leaf, each issuer must have been sent, up to one that was issued by a "
    "root of the trust stores. Sending the root is optional.",
    sources=(rfc(8446, "4.4.2"), rfc(5246, "7.4.2")),
    reasons={
        "complete": passes("Every certificate from the server's own to the root was sent."),
        "missing": fails("The issuer of {observed} was not sent, and is not a root of the trust stores."),
        "missing-fetched": fails(
            "The issuer of {observed} was not sent. Browsers fetch it from the CA; programs, phones and other servers "
            "do not, and fail."
        ),
        "not-signed": indeterminate(
            "Whether another intermediate is missing is unknown, because the certificate named as issuer did not "
            "sign: {observed}."
        ),
        "unknown-root": indeterminate(
            "The chain ends at {observed}, which is not in the trust stores: whether another intermediate is missing "
            "is unknown."
        ),
    },
    fix=fixes.CHAIN,
    mistake=fixes.OLD,
)
def _complete(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    path = sent_path(deployment.chain)
    top = path[-1]
    expected = "every intermediate"
    missing = any(item.missing for item in deployment.paths)
    trusted = any(item.trusted and not item.missing for item in deployment.paths)
    # What clients refuse for another reason leads to a root all the same.
    if top.self_signed or trusted or any(item.refused for item in deployment.paths):
        return [Finding("complete", counted(len(deployment.chain), "certificate"), expected)]
    if deployment.completed:
        return [Finding("missing-fetched", f"{top.subject} ({top.issuer})", expected)]
    if unsigned := next((item.unsigned for item in deployment.paths if item.unsigned), ""):
        return [Finding("not-signed", unsigned, expected)]
    if missing or (deployment.paths and len(path) == 1):
        tried = deployment.completion.detail if deployment.completion is not None else ""
        return [Finding("missing", f"{top.subject} ({'; '.join(filter(None, (top.issuer, tried)))})", expected)]
    return [Finding("unknown-root", top.issuer, expected)]


@rule(
    "cert.chain-order",
    title="The chain is in order and contains nothing else",
    goal=Goal.AUTHENTICITY,
    severity=Severity.LOW,
    of=Deployment,
    why="Older clients expect each certificate to be the issuer of the one before it, and fail if it is not; "
    "certificates that do not belong to the chain make every handshake larger.",
    how=CERTIFICATES_HOW + " Each certificate must be issued by the next. The root may come last, and a cross-signed "
    "certificate of the same issuer may be sent as well.",
    sources=(rfc(5246, "7.4.2"), rfc(8446, "4.4.2")),
    reasons={
        "in-order": passes("Each certificate is followed by its issuer."),
        "wrong-order": fails("The certificates of the chain are not in order: {observed}."),
        "foreign": fails("The chain holds certificates that do not belong to it: {observed}."),
        "duplicate": fails("The chain holds certificates more than once: {observed}."),
    },
    fix=fixes.CHAIN,
    mistake=fixes.REVERSED,
)
def _order(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    chain = deployment.chain
    expected = "each certificate followed by its issuer"
    fingerprints = [item.fingerprint for item in chain]
    again = [item for index, item in enumerate(chain) if item.fingerprint in fingerprints[:index]]
    if again:
        return [Finding("duplicate", listing(item.subject for item in again), expected)]
    path = sent_path(chain)
    belonging = {(item.subject, item.spki) for item in path}
    needed = {item.issuer for item in path}
    alternates = [item for item in chain if (item.subject, item.spki) in belonging or item.subject in needed]
    foreign = [item for item in chain if item not in alternates]
    if foreign:
        return [Finding("foreign", listing(item.subject for item in foreign), expected)]
    in_order = [item for item in chain if item in path]
    if in_order != path:
        return [Finding("wrong-order", listing(item.subject for item in chain), expected)]
    return [Finding("in-order", listing(item.subject for item in chain), expected)]
