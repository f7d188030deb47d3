"""What was answered over HTTP, hop by hop, and what the DNS says, as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from reports.facts.lines import after, cut_off, fact, facts, failure, known, listed, moment, why
from scanner.counting import counted
from scanner.evidence import ChainEnd, Purpose, not_run

if TYPE_CHECKING:
    from scanner.evidence import Attempt, CaaRecord, Cookie, Hop, Http3, HttpProbe, TargetEvidence


_ENDS: Final = {
    ChainEnd.ANSWER: "",
    ChainEnd.FAILURE: "the last without an answer",
    ChainEnd.LOOP: "redirected in a loop",
    ChainEnd.TOO_MANY: "redirected too often to be followed",
    ChainEnd.OUT_OF_SCOPE: "redirected to a host that is not scanned",
    ChainEnd.BAD_LOCATION: "redirected to what is not a URL",
}
_PURPOSES: Final = {
    Purpose.ROOT: "",
    Purpose.PATH: "a configured path",
    Purpose.INTEGRATION: "an integration",
}


def http_lines(evidence: TargetEvidence) -> Iterator[str]:
    """Every request, and the answers that followed."""
    yield "  HTTP"
    if evidence.http.value is None:
        yield fact("answers", why(evidence.http))
        return
    for probe in evidence.http.value.probes:
        yield fact(f"{probe.scheme} {probe.path}", _probe(probe))
        for hop in probe.hops:
            yield from _hop(hop)
    yield from facts(("answers", cut_off(evidence.http)))
    echoes = evidence.http.value.echoes
    if echoes != not_run():
        for echo in echoes.value or ():
            told = "comes back" if echo.echoed else "does not come back"
            yield fact("a word in the address", f"{told}, {echo.coding or 'not compressed'}: {echo.url}")
        yield from facts(("a word in the address", why(echoes) if echoes.value is None else cut_off(echoes)))


def _probe(probe: HttpProbe) -> str:
    identity = "" if probe.identity.value == "none" else f"client certificate: {probe.identity}"
    application = f"application {probe.application}" if probe.application else ""
    told = (counted(len(probe.hops), "request"), _ENDS[probe.end], _PURPOSES[probe.purpose])
    return listed(filter(None, (*told, application, identity)))


def _hop(hop: Hop) -> Iterator[str]:
    version = f"{hop.http_version} " if hop.http_version else ""
    said = f"{version}{hop.status}" if hop.status is not None or hop.failure is None else ""
    answer = ", ".join(filter(None, (said, failure(hop.failure) if hop.failure else "")))
    yield f"      {hop.method} {hop.url}: {answer}"
    length = f"{hop.body_bytes} bytes" + (", truncated" if hop.body_truncated else "")
    named = [
        ("location", hop.location),
        ("strict-transport-security", " | ".join(hop.hsts)),
        ("server", hop.server),
        ("content-type", hop.content_type),
        *hop.headers,
        ("body", length if hop.body_bytes or hop.body_truncated else ""),
        ("refreshes to", hop.meta_refresh),
        ("a script leads to", hop.script_redirect),
        ("broken off", failure(hop.incomplete) if hop.incomplete else ""),
        ("broken off", "within its headers" if hop.headers_cut else ""),
        ("overlooked", listed(hop.irregularities)),
        ("the page", "makes browsers upgrade plain URLs to HTTPS" if hop.upgrade_insecure_requests else ""),
        ("client certificate", "asked for" if hop.certificate_requested else ""),
    ]
    for name, value in named:
        if value:
            yield f"        {name}: {value}"
    for cookie in hop.cookies:
        yield f"        cookie {cookie.name}: {_cookie(cookie)}"
    for reference in hop.insecure_references:
        yield f"        in plain ({reference.kind}, {reference.tag}): {reference.url}"


def _cookie(cookie: Cookie) -> str:
    marks = [("Secure", cookie.secure), ("HttpOnly", cookie.http_only), ("deleted", cookie.deleted)]
    said = [name for name, there in marks if there] or ["neither Secure nor HttpOnly"]
    attributes = [("SameSite", cookie.same_site), ("Domain", cookie.domain), ("Path", cookie.path)]
    return listed((*said, *(f"{name}={value}" for name, value in attributes if value)))


def plain_lines(evidence: TargetEvidence) -> Iterator[str]:
    """What is taken before TLS."""
    yield "  Before TLS"
    plain = evidence.plain.value
    if plain is None:
        yield fact("answers", why(evidence.plain))
        return
    yield from facts(("answers", cut_off(evidence.plain)))
    if plain.upgrade != not_run():
        yield fact("switches to TLS", known(plain.upgrade))
        if plain.login == not_run() and plain.injection == not_run():
            return
    yield fact("a login", known(plain.login) + after(plain.said))
    yield fact(
        "commands sent ahead", {"yes": "carried out", "no": "forgotten"}.get(said := known(plain.injection), said)
    )


def mail_lines(evidence: TargetEvidence) -> Iterator[str]:
    """What the mail domain says of the server."""
    yield "  Mail domain"
    mail = evidence.mail.value
    if mail is None:
        yield fact("answers", why(evidence.mail))
        return
    preference = f"MX preference {mail.preference}" if mail.preference is not None else "it has no MX record"
    policy = mail.sts_policy.value
    told = f"mode {policy.mode}, max_age {policy.max_age}, mx {listed(policy.mx)}" if policy else ""
    records = mail.tlsa.value or ()
    yield from facts(("domain", f"{mail.domain} ({preference})"), ("answers", cut_off(evidence.mail)))
    yield fact("signed (DNSSEC)", known(mail.signed))
    yield fact("TLSA", known(mail.tlsa) if not records else cut_off(mail.tlsa) or f"{len(records)}")
    for item in records:
        yield fact("TLSA record", f"{item.usage} {item.selector} {item.matching} {item.data}")
    yield fact("MTA-STS record", known(mail.sts_record))
    yield fact("MTA-STS policy", (told or known(mail.sts_policy)) + after(cut_off(mail.sts_policy) if told else ""))
    yield fact("TLS-RPT", known(mail.tls_reports))


def door_lines(evidence: TargetEvidence) -> Iterator[str]:
    """What leads to the host beside its port."""
    yield "  Other ways in"
    doors = evidence.doors.value
    if doors is None:
        yield fact("answers", why(evidence.doors))
        return
    yield from facts(("answers", cut_off(evidence.doors)))
    records = doors.https_records.value or ()
    yield fact(
        "HTTPS records",
        known(doors.https_records) if not records else cut_off(doors.https_records) or f"{len(records)}",
    )
    for item in records:
        where = f" port {item.port}" if item.port is not None else ""
        ech = ", with keys of ECH" if item.ech else ""
        yield fact("HTTPS record", f"{item.priority} {item.target}{where}{after(listed(item.alpn))}{ech}")
    yield fact("HTTP/3", _http3(doors.http3))
    listed_at = doors.preloading.value
    told = f"{'yes' if listed_at.listed else 'no'}, by the list of {moment(listed_at.date)}" if listed_at else ""
    yield fact("HSTS preloading", (told or known(doors.preloading)) + after(cut_off(doors.preloading) if told else ""))


def _http3(found: Attempt[Http3]) -> str:
    if found.value is None:
        return known(found)
    seen = found.value
    said = (
        f"advertised by {listed(seen.advertised)}" if seen.advertised else "nothing advertises it",
        f"port {seen.port}" if seen.port is not None else "",
        f"status {seen.status}" if seen.status is not None else "",
        f"certificate {seen.certificate}" if seen.certificate else "",
        f"HSTS {listed(seen.hsts)}" if seen.hsts else "",
    )
    return "; ".join(filter(None, said)) + after(cut_off(found))


def dns_lines(evidence: TargetEvidence) -> Iterator[str]:
    """What the DNS says of the name."""
    yield "  DNS"
    dns = evidence.dns.value
    if dns is None:
        yield fact("answers", why(evidence.dns))
        return
    yield from facts(("addresses", listed(dns.addresses)), ("answers", cut_off(evidence.dns)))
    yield fact("DNSSEC", known(dns.dnssec))
    yield fact("CAA", _caa(dns.caa, dns.caa_domain))
    for name in dns.certificate_names:
        yield fact("CAA", f"of {name.domain}: {_caa(name.caa, name.caa_domain)}")


def _caa(caa: Attempt[tuple[CaaRecord, ...]], domain: str | None) -> str:
    where = after(f"at {domain}" if domain else "")
    if caa.value is None:
        return known(caa) + where
    records = (f"{'critical ' if item.critical else ''}{item.tag} {item.value}" for item in caa.value)
    return (listed(records) or "none") + where + after(cut_off(caa))
