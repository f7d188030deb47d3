"""HTTPS on, plain HTTP led to it, HSTS, content, cookies, nodes."""

from __future__ import annotations

from scanner.evidence import (
    Attempt,
    ChainEnd,
    ClientIdentity,
    Cookie,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    InsecureReference,
    Purpose,
    ReferenceKind,
)
from scanner.inventory import Application, ApplicationKind, Console, HttpsLevel, Role
from scanner.verdict import Severity
from tests.build.facts import (
    HOST,
    HSTS,
    TIMED_OUT,
    World,
    failing,
    hop,
    http,
    offer,
    offers,
    probe,
    tls,
    to,
)
from tests.build.rule_cases.case import Case

_HTTPS, _HTTP = f"https://{HOST}/", f"http://{HOST}/"
_OTHER = "https://other.example.com/"
_DELETED = Cookie("a", secure=False, http_only=True, deleted=True)
_BROKEN_OFF = {"headers_cut": True, "incomplete": Failure(FailureReason.RESET)}
_NO_TLS = Attempt.failed(FailureReason.NOT_TLS, "the port speaks HTTP")


def _plain(
    rule: str, reason: str, *hops: Hop, end: ChainEnd = ChainEnd.ANSWER, severity: Severity | None = None
) -> Case:
    return Case(rule, reason, World(http=http(probe(*hops, end=end))), severity=severity)


def _inside(rule: str, reason: str, *hops: Hop, **own: object) -> Case:
    return Case(rule, reason, World(http=http(probe(*hops))), **own)  # type: ignore[arg-type]  # any field of a case


def _alone(rule: str, reason: str, answer: Hop) -> Case:
    """The one answer over HTTPS, where plain HTTP is refused."""
    return Case(rule, reason, World(http=http(probe(answer), probe(failing(FailureReason.REFUSED)))))


def _page(kind: ReferenceKind, url: str = f"http://{HOST}/a", **changes: object) -> Hop:
    return hop(insecure_references=(InsecureReference(kind, "script", url),), **changes)


def _everywhere(rule: str, **states: World) -> list[Case]:
    return [Case(rule, reason.replace("_", "-"), world) for reason, world in states.items()]


_SERVER = World(role=Role.SERVER, http_port=None)
_ADDRESS = World(host="192.0.2.1")
_UNSEEN = World(http=TIMED_OUT)
_NONE = Application("Intranet", ApplicationKind.TRADITIONAL_WEB, https=HttpsLevel.NONE)

_PRELOADED = (f"{HSTS}; preload",)
_GOOD = hop(hsts=_PRELOADED)


def _redirected(flaw: str, *plain: Hop) -> Case:
    """A server that is ready to be preloaded but for where plain HTTP leads."""
    world = World(http=http(probe(*plain), probe(_GOOD)))
    if not flaw:
        return Case("https.hsts-preload", "eligible", world)
    return Case("https.hsts-preload", "not-eligible", world, observed=flaw)


def _console(*probes: HttpProbe) -> World:
    """A console at a path of its own."""
    return World(consoles=(Console(Role.MONITORING, ("/console",)),), http=http(*probes))


CASES = (
    Case("https.active", "tls", observed="tls1.2, tls1.3"),
    Case("https.active", "plain", World(tls=_NO_TLS), observed="the port speaks HTTP"),
    Case("https.active", "starttls-refused", World(tls=Attempt.failed(FailureReason.STARTTLS_REFUSED, "502"))),
    Case("https.active", "client-certificate", World(tls=Attempt.failed(FailureReason.CLIENT_CERTIFICATE_REQUIRED))),
    Case("https.active", "no-version", World(tls=tls(protocols=offers(tls1_2=offer(), tls1_3=offer())))),
    Case("https.active", "not-observed", World(tls=Attempt.failed(FailureReason.REFUSED))),
    # https.redirect
    Case("https.redirect", "redirects"),
    _plain("https.redirect", "plain-refused", failing(FailureReason.REFUSED)),
    _plain("https.redirect", "plain-refused", failing(FailureReason.RESET)),
    _plain("https.redirect", "plain-refused", failing(FailureReason.TLS_ONLY)),
    _plain("https.redirect", "plain-silent", failing(FailureReason.TIMED_OUT)),
    Case("https.redirect", "not-observed", World(tls=TIMED_OUT, http=http(probe(failing(FailureReason.TIMED_OUT))))),
    _plain("https.redirect", "not-observed", failing(FailureReason.DEADLINE)),
    _plain("https.redirect", "not-observed", failing(FailureReason.MALFORMED)),
    _plain("https.redirect", "not-observed", hop(_HTTP, None)),
    _plain("https.redirect", "served", hop(_HTTP), severity=Severity.HIGH),
    # Of an answer that broke off within its headers a status proves, and a header that is missing does not.
    _plain("https.redirect", "served", hop(_HTTP, **_BROKEN_OFF)),
    _plain("https.redirect", "not-observed", hop(_HTTP, 301, **_BROKEN_OFF)),
    _plain("https.redirect", "redirects", to(_HTTPS, **_BROKEN_OFF), hop()),
    _inside("https.hsts", "not-observed", hop(hsts=(), **_BROKEN_OFF)),
    _inside("https.hsts", "not-observed", to(_HTTPS + "a", url=_HTTPS), hop(url=_HTTPS + "a", hsts=(), **_BROKEN_OFF)),
    _inside("https.hsts", "sent", hop(**_BROKEN_OFF)),
    _inside("https.hsts-max-age", "not-observed", hop(hsts=(), **_BROKEN_OFF)),
    _inside("https.secure-cookies", "not-observed", hop(cookies=(), **_BROKEN_OFF)),
    _alone("https.secure-cookies", "all-secure", hop(cookies=(_DELETED,))),
    _inside("https.secure-cookies", "all-secure", hop(cookies=(_DELETED, Cookie("b", secure=True, http_only=True)))),
    # An error page proves what it holds, and nothing else.
    _alone("https.secure-cookies", "error-page", hop(status=404, cookies=())),
    _inside("https.secure-cookies", "insecure", hop(status=404, cookies=(Cookie("a", secure=False, http_only=True),))),
    _alone("https.hsts", "error-page", hop(status=404, hsts=())),
    _inside("https.hsts", "sent", hop(status=503)),
    _alone("https.hsts-max-age", "error-page", hop(status=500, hsts=())),
    _alone("https.hsts-subdomains", "error-page", hop(status=403, hsts=())),
    _alone("https.hsts-preload", "error-page", hop(status=400, hsts=())),
    Case(
        "https.hsts",
        "missing",
        World(http=http(probe(hop(status=404, hsts=())), probe(hop(f"{_HTTPS}a", hsts=()), path="/a"))),
    ),
    Case(
        "https.hsts",
        "sent",
        World(http=http(probe(hop(status=404, hsts=())), probe(hop(f"{_HTTPS}a"), path="/a"))),
    ),
    _alone("https.no-downgrade", "error-page", hop(status=404)),
    _inside("https.no-downgrade", "active-content", _page(ReferenceKind.ACTIVE, status=404)),
    _inside(
        "https.secure-cookies", "insecure", hop(cookies=(Cookie("a", secure=False, http_only=True),), **_BROKEN_OFF)
    ),
    _inside("https.no-downgrade", "not-observed", hop(**_BROKEN_OFF)),
    _plain("https.redirect", "served", hop(_HTTP, 304)),
    _plain("https.redirect", "served", hop(_HTTP, 200, location=_HTTPS)),
    _plain("https.redirect", "client-side", hop(_HTTP, meta_refresh=_HTTPS)),
    _plain("https.redirect", "client-side", hop(_HTTP, script_redirect=_HTTPS)),
    _plain("https.redirect", "error-answer", hop(_HTTP, 404), severity=Severity.LOW),
    _plain("https.redirect", "error-answer", hop(_HTTP, 503)),
    _plain("https.redirect", "through-plain", to(f"{_HTTP}welcome"), to(_HTTPS, url=f"{_HTTP}welcome"), hop()),
    _plain("https.redirect", "through-plain", to(_HTTPS), to(_HTTP, url=_HTTPS), hop(_HTTP)),
    _plain("https.redirect", "other-host", to(_OTHER), hop(_OTHER), severity=Severity.MEDIUM),
    _plain("https.redirect", "other-host", to("https://zz.example.com/"), hop("https://zz.example.com/")),
    # The plain address is the one that is asked for next, not the one where that leads.
    _plain("https.redirect", "through-plain", to(_HTTPS), to(_OTHER, url=f"{_HTTP}a"), hop(_OTHER)),
    _plain("https.redirect", "elsewhere", to("ftp://example.com/"), end=ChainEnd.BAD_LOCATION),
    _plain("https.redirect", "elsewhere", to("javascript:alert(1)"), end=ChainEnd.BAD_LOCATION),
    _plain("https.redirect", "loop", to(f"{_HTTP}a"), to(_HTTP, url=f"{_HTTP}a"), end=ChainEnd.LOOP),
    _plain(
        "https.redirect", "loop", to(_HTTPS), to(_HTTPS, url=_HTTPS), end=ChainEnd.TOO_MANY, severity=Severity.MEDIUM
    ),
    _plain("https.redirect", "redirects", to(f"HTTPS://{HOST.upper()}:443/"), hop()),
    # Where HTTPS leads to was not seen: it may lead back.
    _plain("https.redirect", "not-observed", to(_HTTPS), failing(FailureReason.TIMED_OUT, _HTTPS)),
    _plain("https.redirect", "redirects", to(_HTTPS), failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, _HTTPS)),
    _plain("https.redirect", "redirects", to(_HTTPS), failing(FailureReason.REFUSED, _HTTPS)),
    Case("https.redirect", "not-required", World(applications=(_NONE,), http=http(probe(hop(_HTTP))))),
    Case(
        "https.redirect",
        "served",
        World(applications=(_NONE,), http=http(probe(hop(_HTTP))), environment={"hsts": True}),
    ),
    Case("https.redirect", "no-plain-port", World(http_port=None)),
    Case("https.redirect", "not-http", _SERVER),
    Case("https.redirect", "not-observed", _UNSEEN),
    # https.redirect-permanent
    Case("https.redirect-permanent", "permanent"),
    _plain("https.redirect-permanent", "permanent", to(_HTTPS, 308), hop()),
    _plain("https.redirect-permanent", "temporary", to(_HTTPS, 302), hop()),
    _plain("https.redirect-permanent", "no-redirect", hop(_HTTP)),
    _plain("https.redirect-permanent", "no-redirect", failing(FailureReason.REFUSED)),
    _plain("https.redirect-permanent", "not-observed", failing(FailureReason.DEADLINE)),
    *_everywhere(
        "https.redirect-permanent", not_http=_SERVER, not_observed=_UNSEEN, no_plain_port=World(http_port=None)
    ),
    # https.no-downgrade
    Case("https.no-downgrade", "none"),
    _inside("https.no-downgrade", "redirects", to(_HTTP, 302, url=_HTTPS), hop(_HTTP)),
    _inside("https.no-downgrade", "redirects", hop(meta_refresh=_HTTP)),
    _inside("https.no-downgrade", "redirects", hop(script_redirect=_HTTP)),
    _inside("https.no-downgrade", "posts", _page(ReferenceKind.FORM), severity=Severity.HIGH),
    _inside("https.no-downgrade", "active-content", _page(ReferenceKind.ACTIVE, "http://cdn.example.net/a.js")),
    _inside("https.no-downgrade", "passive-content", _page(ReferenceKind.PASSIVE), severity=Severity.LOW),
    _inside("https.no-downgrade", "links", _page(ReferenceKind.LINK), severity=Severity.LOW),
    _inside("https.no-downgrade", "none", _page(ReferenceKind.LINK, "http://elsewhere.example.net/")),
    _inside("https.no-downgrade", "none", _page(ReferenceKind.ACTIVE, upgrade_insecure_requests=True)),
    # The directive reaches all but links to other hosts (W3C Upgrade Insecure Requests, section 3.4).
    _inside(
        "https.no-downgrade",
        "none",
        _page(ReferenceKind.ACTIVE, "http://cdn.example.net/a.js", upgrade_insecure_requests=True),
    ),
    _inside("https.no-downgrade", "none", _page(ReferenceKind.LINK, upgrade_insecure_requests=True)),
    _inside("https.no-downgrade", "cut-off", hop(body_truncated=True)),
    _inside("https.no-downgrade", "none", hop(body_truncated=True, content_type="application/pdf")),
    _inside("https.no-downgrade", "not-observed", failing(FailureReason.TIMED_OUT, _HTTPS)),
    *_everywhere("https.no-downgrade", not_http=_SERVER, not_observed=_UNSEEN),
    # https.hsts
    Case("https.hsts", "sent", observed=HSTS),
    _inside("https.hsts", "missing", hop(hsts=())),
    _inside("https.hsts", "invalid", hop(hsts=("max-age=1; max-age=2",))),
    _inside("https.hsts", "invalid", hop(hsts=("includeSubDomains", HSTS))),
    _inside("https.hsts", "cleared", hop(hsts=("max-age=0",))),
    _inside("https.hsts", "several", hop(hsts=(HSTS, HSTS)), severity=Severity.LOW),
    _inside("https.hsts", "sent", hop(hsts=('MAX-AGE="63072000"',))),
    _inside("https.hsts", "sent", to(f"{_HTTPS}start", 302, url=_HTTPS), hop(f"{_HTTPS}start")),
    _inside(
        "https.hsts",
        "not-everywhere",
        to(f"{_HTTPS}start", 302, url=_HTTPS),
        hop(f"{_HTTPS}start", hsts=()),
        severity=Severity.LOW,
    ),
    Case(  # an integration's answer is no page's
        "https.hsts",
        "sent",
        World(http=http(probe(hop(f"{_HTTPS}api", hsts=()), path="/api", purpose=Purpose.INTEGRATION))),
    ),
    Case(
        "https.hsts",
        "only-over-http",
        World(http=http(probe(to(_HTTPS, hsts=(HSTS,)), hop(hsts=())), probe(hop(hsts=())))),
    ),
    Case("https.hsts", "over-http-too", World(http=http(probe(to(_HTTPS, hsts=(HSTS,)), hop())))),
    Case(  # the server wants a client certificate: what it says with one counts
        "https.hsts",
        "sent",
        World(
            http=http(
                probe(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, _HTTPS)),
                probe(hop(), identity=ClientIdentity.CONFIGURED),
            )
        ),
    ),
    _inside("https.hsts", "not-observed", failing(FailureReason.TIMED_OUT, _HTTPS)),
    *_everywhere("https.hsts", not_http=_SERVER, not_observed=_UNSEEN, address=_ADDRESS),
    # https.hsts-max-age, -subdomains, -preload
    Case("https.hsts-max-age", "long-enough"),
    _inside(
        "https.hsts-max-age",
        "too-short",
        hop(hsts=("max-age=200000",)),
        says="HSTS lasts 2 days; 365 are required.",
        observed="max-age=200000",
    ),
    # Browsers heed the first of several (RFC 6797 section 8.1).
    _inside("https.hsts-max-age", "too-short", hop(hsts=("max-age=1", HSTS)), observed="max-age=1"),
    _inside("https.hsts-max-age", "too-short", hop(hsts=("max-age=0",))),
    _inside("https.hsts-max-age", "too-short", hop(), parameters={"seconds": 63_072_001}),
    _inside("https.hsts-max-age", "no-hsts", hop(hsts=())),
    _inside("https.hsts-max-age", "no-hsts", hop(hsts=("nonsense",))),
    *_everywhere("https.hsts-max-age", not_http=_SERVER, not_observed=_UNSEEN, address=_ADDRESS),
    Case("https.hsts-subdomains", "covered"),
    _inside("https.hsts-subdomains", "not-covered", hop(hsts=("max-age=63072000",))),
    _inside("https.hsts-subdomains", "no-hsts", hop(hsts=())),
    *_everywhere("https.hsts-subdomains", not_http=_SERVER, not_observed=_UNSEEN, address=_ADDRESS),
    Case(
        "https.hsts-preload",
        "eligible",
        World(
            http=http(
                probe(to(_HTTPS), hop(hsts=(f"{HSTS}; preload",))),
                probe(hop(hsts=(f"{HSTS}; preload",))),
            )
        ),
    ),
    Case("https.hsts-preload", "not-eligible", observed="preload is missing"),
    Case(
        "https.hsts-preload",
        "not-eligible",
        World(http=http(probe(to(_OTHER)), probe(hop(hsts=(f"{HSTS}; preload",))))),
        observed="the first redirect leaves the host",
    ),
    _redirected("the first redirect leaves the host", to("https://zz.example.com/"), hop("https://zz.example.com/")),
    _redirected("the first HTTPS answer after the redirect has no HSTS", to(_HTTPS), hop(hsts=("nonsense",))),
    _redirected("the first HTTPS answer after the redirect has no HSTS", to(_HTTPS), hop(hsts=("max-age=0",))),
    _redirected("a later redirect is plain", to(_HTTPS), to(_HTTP, url=_HTTPS, hsts=_PRELOADED), hop(_HTTP)),
    _redirected(
        "there are more than three redirects",
        to(_HTTPS),
        *(to(f"{_HTTPS}{number}", url=_HTTPS, hsts=_PRELOADED) for number in range(3)),
        hop(hsts=_PRELOADED),
    ),
    _redirected("", to(_HTTPS), *(to(f"{_HTTPS}{number}", url=_HTTPS, hsts=_PRELOADED) for number in range(2)), _GOOD),
    # Nobody went on after the redirect; a closed port, or none, is only warned of.
    _redirected("", to(_HTTPS)),
    _redirected("", failing(FailureReason.REFUSED)),
    Case(
        "https.hsts-preload",
        "eligible",
        World(http_port=None, http=HttpEvidence((probe(_GOOD),))),
    ),
    Case(
        "https.hsts-preload",
        "not-observed",
        World(http=http(probe(to(_HTTPS), failing(FailureReason.TIMED_OUT, _HTTPS)), probe(_GOOD))),
    ),
    Case(
        "https.hsts-preload",
        "not-eligible",
        World(http=http(probe(to(_HTTPS), _GOOD), probe(hop(hsts=_PRELOADED * 2)))),
        observed="the header is sent more than once",
    ),
    Case(
        "https.hsts-preload",
        "not-eligible",
        World(http=http(probe(hop(_HTTP)), probe(hop(hsts=(f"{HSTS}; preload",))))),
        observed="plain HTTP does not redirect to HTTPS",
    ),
    _inside("https.hsts-preload", "no-hsts", hop(hsts=())),
    *_everywhere("https.hsts-preload", not_http=_SERVER, not_observed=_UNSEEN, address=_ADDRESS),
    # https.secure-cookies
    Case("https.secure-cookies", "all-secure", observed="session (no SameSite)"),
    _inside(
        "https.secure-cookies", "insecure", hop(cookies=(Cookie("a", secure=False, http_only=True),)), observed="a"
    ),
    _inside("https.secure-cookies", "insecure", hop(cookies=(Cookie("", secure=False, http_only=True),))),
    Case(
        "https.secure-cookies",
        "no-cookies",
        World(http=http(probe(to(_HTTPS)), probe(hop(cookies=())))),
    ),
    _inside(
        "https.secure-cookies",
        "all-secure",
        hop(cookies=(Cookie("__Host-id", secure=True, http_only=True, same_site="Lax", path="/"),)),
        observed="__Host-id (SameSite=Lax), session (no SameSite)",
    ),
    *(
        _inside("https.secure-cookies", reason, hop(cookies=(cookie,)), severity=severity)
        for reason, severity, cookie in (
            ("prefix", Severity.LOW, Cookie("__Host-id", secure=True, http_only=True)),
            ("prefix", Severity.LOW, Cookie("__host-id", secure=True, http_only=True, path="/", domain="example.com")),
            ("prefix", Severity.LOW, Cookie("__Host-id", secure=True, http_only=True, path="/app")),
            ("insecure", Severity.MEDIUM, Cookie("__Secure-id", secure=False, http_only=True)),
            ("all-secure", None, Cookie("__Secure-id", secure=True, http_only=True, domain="example.com")),
        )
    ),
    _inside("https.secure-cookies", "not-observed", failing(FailureReason.TIMED_OUT, _HTTPS)),
    *_everywhere("https.secure-cookies", not_http=_SERVER, not_observed=_UNSEEN),
    # https.console
    Case("https.console", "no-console"),
    Case("https.console", "https-alone", World(role=Role.MONITORING)),
    Case(
        "https.console", "https-alone", World(role=Role.DEVELOPMENT, http=http(probe(failing(FailureReason.REFUSED))))
    ),
    Case("https.console", "https-alone", World(role=Role.DEVELOPMENT, http=http(probe(hop(_HTTP, 403))))),
    Case(
        "https.console",
        "served-in-plain",
        _console(probe(hop(_HTTP)), probe(hop(_HTTP + "console"), path="/console")),
        subjects=("/console",),
    ),
    Case(
        "https.console",
        "https-alone",
        _console(probe(to(_HTTPS + "console", url=_HTTP + "console"), hop(), path="/console")),
        subjects=("/console",),
    ),
    Case("https.console", "not-observed", _console(), subjects=("/console",)),
    Case("https.console", "no-plain-port", World(role=Role.DEVELOPMENT, http_port=None)),
    Case("https.console", "no-tls", World(role=Role.DEVELOPMENT, tls=_NO_TLS)),
    Case("https.console", "served-in-plain", World(role=Role.MONITORING, http=http(probe(hop(_HTTP))))),
    Case("https.console", "through-plain", World(role=Role.MONITORING, http=http(probe(to(f"{_HTTP}login"))))),
    Case("https.console", "not-observed", World(role=Role.MONITORING, tls=TIMED_OUT)),
    Case("https.console", "not-observed", World(role=Role.MONITORING, tls=TIMED_OUT, http_port=None)),
    Case("https.console", "not-observed", World(role=Role.MONITORING, http=TIMED_OUT)),
    Case(
        "https.console", "not-observed", World(role=Role.MONITORING, http=http(probe(failing(FailureReason.DEADLINE))))
    ),
    # https.node-consistency
    Case("https.node-consistency", "one-address"),
    Case("https.node-consistency", "alike", World(siblings=[World()]), observed="2 addresses"),
    Case("https.node-consistency", "alike", World(siblings=[World(), World()]), observed="3 addresses"),
    Case("https.node-consistency", "not-all-seen", World(tls=TIMED_OUT, siblings=[World()])),
    Case("https.node-consistency", "not-all-seen", World(siblings=[World(tls=TIMED_OUT)])),
    Case(
        "https.node-consistency", "not-all-seen", World(siblings=[World(tls=tls(protocols=offers(tls1_1=TIMED_OUT)))])
    ),
    Case(
        "https.node-consistency",
        "not-all-seen",
        World(http=http(probe(failing(FailureReason.DEADLINE, _HTTPS))), siblings=[World()]),
    ),
    Case(
        "https.node-consistency",
        "not-all-seen",
        World(siblings=[World(http=http(probe(hop()), probe(hop(f"{_HTTPS}b"), path="/b")))]),
    ),
    Case(
        "https.node-consistency",
        "different",
        World(siblings=[World(http=http(probe(hop(hsts=()))))]),
        observed=f"192.0.2.2: https /: HSTS missing instead of {HSTS}",
    ),
    Case("https.node-consistency", "different", World(siblings=[World(http=http(probe(hop(_HTTP))))])),
    Case("https.node-consistency", "different", World(siblings=[World(tls=tls(protocols=offers(tls1_3=offer())))])),
    Case("https.node-consistency", "not-all-seen", World(siblings=[World(http=TIMED_OUT)])),
    Case(
        "https.node-consistency",
        "not-all-seen",
        World(siblings=[World(http=http(probe(failing(FailureReason.DEADLINE))))]),
    ),
    Case("https.node-consistency", "not-observed", World(http=TIMED_OUT, siblings=[World()])),
    Case("https.node-consistency", "not-http", World(role=Role.SERVER, http_port=None, siblings=[_SERVER])),
)
