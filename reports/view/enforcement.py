"""The enforcement matrix: at each place, what the owners demand, what HTTP and HTTPS answer, and the verdict on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, structs

from reports.language import Words, gettext, mark
from reports.view.enforcement_settings import setting_in_words
from reports.view.index import Index, anchor_of, unique
from reports.view.matrix_model import EnforcementMatrix, MatrixRow
from reports.view.model import FailureCause
from reports.view.readable import readable_name
from reports.view.sentences import reason_in_words, retell
from reports.view.target_model import TargetRef
from reports.wording import FAILURES, PROTOCOLS, ROLES, SHORT_FAILURES
from scanner.evidence import ClientIdentity, Hop, HttpEvidence, HttpProbe, Purpose
from scanner.inventory import Endpoint, Environment, HttpsLevel
from scanner.requirements import ROOT, PlainAllowed, Requirement, requirements_of
from scanner.verdict import CountedAs, Goal, Status, TargetResult, Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule

_PLACE_RULES = frozenset({"https.path", "https.integration", "https.client-certificate"})
_NOT_REQUIRED = ("https.redirect", "not-required")
"""The rule that says so of a root, and its reason."""
_GRAVITY = {Status.NOT_APPLICABLE: 0, Status.PASS: 1, Status.INDETERMINATE: 2, Status.FAIL: 3}
_LEVELS = Words[HttpsLevel](
    {
        HttpsLevel.NONE: mark("HTTP or HTTPS"),
        HttpsLevel.TLS: "HTTPS",
        HttpsLevel.TLS_CLIENT_CERTIFICATE: mark("HTTPS with a client certificate"),
    }
)
_PLAIN = Words[PlainAllowed](
    {
        PlainAllowed.ANYTHING: "",
        PlainAllowed.REDIRECT_OR_REFUSAL: mark("HTTP may only redirect"),
        PlainAllowed.REFUSAL: mark("HTTP refused"),
    }
)
_URL_SHOWN = 80


class _Place(Struct, frozen=True):
    """A place at one target, before the same place at other addresses is put together with it."""

    application: str
    path: str
    purpose: Purpose
    requirement: str
    line: str
    """Of the configuration, that decides; empty where it is not known."""
    optional: bool = False
    """Whether plain HTTP may serve it."""


def matrices_of(
    index: Index,
    environments: Mapping[str, Environment] | None,
    causes: tuple[FailureCause, ...],
    rules: Mapping[str, Rule],
) -> tuple[EnforcementMatrix, ...]:
    """One matrix for each environment that has targets. Without the configuration, the requirements stay unsaid."""
    rows: dict[str, dict[tuple[object, ...], MatrixRow]] = defaultdict(dict)
    anchors = {(cause.rule, cause.reason): cause.anchor for cause in causes}
    for target in index.record.targets:
        if not target.port:  # a file with certificates, at which nothing is asked for
            continue
        environment = (environments or {}).get(target.environment)
        for row in _rows(target, environment, index.ref(target), anchors, rules):
            # What was not observed may name the address that was not seen: that makes no other row.
            why = row.rule if row.status is Status.INDETERMINATE else row.explanation
            key = (row.application, row.place, row.over_http, row.over_https, row.status, row.severity, row.waived, why)
            known = rows[target.environment].get(key)
            merged = structs.replace(known, targets=(*known.targets, *row.targets)) if known else row
            rows[target.environment][key] = merged
    taken: set[str] = set()
    return tuple(
        EnforcementMatrix(name, unique(anchor_of("m", name), taken), tuple(sorted(_told_apart(found), key=_order)))
        for name, found in rows.items()
    )


def _told_apart(rows: Mapping[tuple[object, ...], MatrixRow]) -> Iterator[MatrixRow]:
    """Rows of one place that differ by address say at which address each was seen."""
    seen = Counter((row.application, row.place) for row in rows.values())
    for row in rows.values():
        differs = seen[row.application, row.place] > 1
        yield structs.replace(row, only_at=tuple(ref.id.rpartition("@")[2] for ref in row.targets)) if differs else row


def _order(row: MatrixRow) -> tuple[str, str, tuple[str, ...]]:
    return row.application.casefold(), row.place, row.only_at


def _rows(
    target: TargetResult,
    environment: Environment | None,
    ref: TargetRef,
    anchors: Mapping[tuple[str, str], str],
    rules: Mapping[str, Rule],
) -> Iterator[MatrixRow]:
    http = target.evidence.http.value if target.evidence else None
    places = tuple(_places(target, environment, http))
    paths = frozenset(place.path for place in places) - {ROOT}
    for place in places:
        verdict = _of_place(target, place, paths)
        yield MatrixRow(
            application=readable_name(place.application),
            place=target.address + (place.path if place.path != ROOT or target.role.speaks_http else ""),
            targets=(ref,),
            requirement=place.requirement,
            decided_by=setting_in_words(place.line),
            over_http=_over_http(target, http, place),
            over_https=_over_https(target, http, place),
            status=verdict.status if verdict else Status.NOT_APPLICABLE,
            severity=verdict.severity if verdict and verdict.status is Status.FAIL else None,
            explanation=_explanation(verdict, rules),
            rule=verdict.rule if verdict else "",
            anchor=anchors.get((verdict.rule, verdict.reason)) if verdict else None,
            waived=verdict is not None and verdict.waiver is not None,
        )


def _explanation(verdict: Verdict | None, rules: Mapping[str, Rule]) -> str:
    """What a verdict says of a place."""
    if verdict is None or verdict.status is Status.PASS:
        return ""
    if verdict.status is Status.INDETERMINATE:
        return reason_in_words(verdict.message, rules.get(verdict.rule), verdict.reason)
    return retell(rules.get(verdict.rule), verdict.reason, verdict.message)


def _places(target: TargetResult, environment: Environment | None, http: HttpEvidence | None) -> Iterator[_Place]:
    endpoint = _endpoint(environment, target)
    fallback = target.application or ROLES[target.role]
    if endpoint is not None and environment is not None and target.role.speaks_http:
        for requirement in requirements_of(environment, endpoint):
            purpose = Purpose.INTEGRATION if requirement.integration else Purpose.PATH
            yield _Place(
                application=requirement.application or (ROLES[requirement.role] if requirement.role else fallback),
                path=requirement.path,
                purpose=Purpose.ROOT if requirement.path == ROOT and not requirement.integration else purpose,
                requirement=_demand(requirement),
                line=requirement.setting,
                optional=requirement.level is HttpsLevel.NONE,
            )
        return
    demand = "" if target.role.speaks_http else "TLS"
    if demand and target.starttls:
        demand = gettext("TLS by STARTTLS (%(protocol)s)") % {"protocol": target.starttls}
    yield _Place(fallback, ROOT, Purpose.ROOT, demand, "")
    seen = {(probe.path, probe.purpose): probe for probe in (http.probes if http else ())}
    for (path, purpose), probe in seen.items():
        if purpose is not Purpose.ROOT and path != ROOT:
            yield _Place(probe.application or fallback, path, purpose, "", "")


def _endpoint(environment: Environment | None, target: TargetResult) -> Endpoint | None:
    endpoints = environment.endpoints if environment else ()
    return next((item for item in endpoints if (item.host, item.port) == (target.host, target.port)), None)


def _demand(requirement: Requirement) -> str:
    parts = [_LEVELS[requirement.level], _PLAIN[requirement.plain]]
    if requirement.hsts:
        parts.append("HSTS")
    return "; ".join(part for part in parts if part)


def _of_place(target: TargetResult, place: _Place, others: frozenset[str]) -> Verdict | None:
    """What stands in the row of a place: the gravest verdict on it.

    Where HTTPS is not required, nothing is met: what does not fail does not apply, at the root as at a path.
    """
    verdict = _gravest(target, place, others)
    if not place.optional or verdict is None or verdict.status is not Status.PASS:
        return verdict
    return next((item for item in target.verdicts if (item.rule, item.reason) == _NOT_REQUIRED), None)


def _gravest(target: TargetResult, place: _Place, others: frozenset[str]) -> Verdict | None:
    """The gravest verdict on this place; failures that are waived count less than those that are not.

    What a rule says of a path stands in that path's row. All else of enforcement stands in the root's: a row that is
    met has no finding beside it. Notes stand against nothing, here as elsewhere. https.always judges all answers of a
    back end together: where it failed, it stands at the paths that it names; at the root where it names the root, or
    no path that has a row.
    """
    is_root = place.purpose is Purpose.ROOT
    verdicts = [
        verdict
        for verdict in target.verdicts
        if verdict.goal is Goal.ENFORCEMENT
        and verdict.counted_as is not CountedAs.NOTE
        and (
            verdict.subject == place.path
            or place.path in _named(verdict, others)
            or (
                is_root
                and verdict.rule not in _PLACE_RULES
                and verdict.subject not in others
                and (not _named(verdict, others) or _names(verdict, ROOT))
            )
        )
    ]
    return max(
        verdicts,
        key=lambda verdict: (_GRAVITY[verdict.status], verdict.waiver is None, verdict.severity),
        default=None,
    )


def _named(verdict: Verdict, paths: frozenset[str]) -> frozenset[str]:
    """The paths at which a back end answered in plain, of these, as its one verdict lists them."""
    if verdict.rule != "https.always" or verdict.status is not Status.FAIL:
        return frozenset()
    return frozenset(path for path in paths if _names(verdict, path))


def _names(verdict: Verdict, path: str) -> bool:
    return f", {path}: " in f", {verdict.observed}"


def _over_http(target: TargetResult, http: HttpEvidence | None, place: _Place) -> str:
    if not target.role.speaks_http:
        return ""
    if http is None:
        return gettext("not seen") if target.http_port is not None else gettext("no port configured")
    probe = http.find("http", place.path, purpose=place.purpose) or http.find("http", place.path)
    if probe is None:
        return gettext("no port configured") if target.http_port is None else gettext("not seen")
    return chain(probe)


def _over_https(target: TargetResult, http: HttpEvidence | None, place: _Place) -> str:
    tls = target.evidence.tls if target.evidence else None
    if tls is None or tls.value is None:
        failure = tls.failure if tls else target.error
        return FAILURES[failure.reason] if failure else gettext("not seen")
    if not target.role.speaks_http:
        return ", ".join(PROTOCOLS[protocol] for protocol in tls.value.negotiated)
    if http is None:
        return gettext("not seen")
    found = {identity: _inside(http, place, identity) for identity in ClientIdentity}
    shown = [_IDENTITIES[identity] % {"answers": chain(probe)} for identity, probe in found.items() if probe]
    return "; ".join(shown) or gettext("not seen")


def _inside(http: HttpEvidence, place: _Place, identity: ClientIdentity) -> HttpProbe | None:
    """The probe over HTTPS; with a certificate only where it was this application's that was tried."""
    asked = ("https", place.path, place.purpose, identity)
    return next(
        (
            probe
            for probe in http.probes
            if (probe.scheme, probe.path, probe.purpose, probe.identity) == asked
            and (identity is ClientIdentity.NONE or probe.application == place.application)
        ),
        None,
    )


_IDENTITIES = Words[ClientIdentity](
    {
        ClientIdentity.NONE: "%(answers)s",
        ClientIdentity.CONFIGURED: mark("with certificate: %(answers)s"),
        ClientIdentity.WRONG: mark("with a wrong certificate: %(answers)s"),
    }
)


def chain(probe: HttpProbe) -> str:
    """A chain of answers in few words: `301 → HTTPS · 200`."""
    words = []
    for hop in probe.hops:
        words.append(answer(hop))
        if hop.location:
            words.append(f"→ {_destination(hop)} ·")
        elif refresh := hop.meta_refresh or hop.script_redirect:
            words.append(gettext("with a page that leads to %(address)s") % {"address": _cut(refresh)})
    text = " ".join(words).removesuffix(" ·")
    last = probe.last
    return f"{text}; HSTS" if probe.scheme == "https" and last.hsts else text


def _destination(hop: Hop) -> str:
    """Where a redirect leads: `HTTPS` where that is the same place over HTTPS, else the address."""
    location = hop.location or ""
    start, end = urlsplit(hop.url), urlsplit(location)
    same = (start.hostname, start.path or "/", start.query) == (end.hostname, end.path or "/", end.query)
    return "HTTPS" if same and (start.scheme, end.scheme) == ("http", "https") else _cut(location)


def answer(hop: Hop) -> str:
    """One answer: its status, or why there was none."""
    return (SHORT_FAILURES.get(hop.failure.reason) or FAILURES[hop.failure.reason]) if hop.failure else str(hop.status)


def _cut(url: str) -> str:
    return url if len(url) <= _URL_SHOWN else f"{url[: _URL_SHOWN - 1]}…"
