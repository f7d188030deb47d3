"""Configured paths, integrations, client certificates, applications that are always over HTTPS."""

from __future__ import annotations

from scanner.evidence import ClientIdentity, FailureReason, HttpProbe, Purpose
from scanner.inventory import (
    Application,
    ApplicationKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Role,
)
from scanner.verdict import Severity
from tests.build.facts import HOST, TIMED_OUT, World, failing, hop, http, probe, to
from tests.build.rule_cases.case import Case

_HTTPS, _HTTP = f"https://{HOST}", f"http://{HOST}"
_WEB = ApplicationKind.TRADITIONAL_WEB
_SERVER = World(role=Role.SERVER, http_port=None)


def _shop(level: HttpsLevel = HttpsLevel.TLS, **changes: object) -> Application:
    return Application("Shop", _WEB, paths=(PathSetting("/pay", level),), **changes)  # type: ignore[arg-type]  # any field


def _api(level: HttpsLevel = HttpsLevel.TLS) -> Application:
    return Application("API", _WEB, integrations=(Integration("/rest", IntegrationKind.REST, level),))


def _path(reason: str, *probes: HttpProbe, level: HttpsLevel = HttpsLevel.TLS, **changes: object) -> Case:
    world = World(applications=(_shop(level),), http=http(*probes), **changes)  # type: ignore[arg-type]  # any field
    return Case("https.path", reason, world, subjects=("/pay",))


def _integration(reason: str, *probes: HttpProbe, severity: Severity | None = None, **changes: object) -> Case:
    application = changes.pop("application", _api())
    world = World(applications=(application,), http=http(*probes), **changes)  # type: ignore[arg-type]  # any field
    return Case("https.integration", reason, world, severity=severity, subjects=("/rest",))


def _page(*hops: object, **changes: object) -> HttpProbe:
    return probe(*hops, path="/pay", purpose=Purpose.PATH, **changes)  # type: ignore[arg-type]  # hops


def _call(*hops: object, **changes: object) -> HttpProbe:
    return probe(*hops, path="/rest", purpose=Purpose.INTEGRATION, **changes)  # type: ignore[arg-type]  # hops


_PAY = _page(hop(f"{_HTTPS}/pay"))
_PAY_REDIRECT = _page(to(f"{_HTTPS}/pay", url=f"{_HTTP}/pay"), hop(f"{_HTTPS}/pay"))
_PAY_PLAIN = _page(hop(f"{_HTTP}/pay"))
_REST = _call(hop(f"{_HTTPS}/rest", content_type="application/json"))
_SOAP = Application("Orders", _WEB, integrations=(Integration("/rest", IntegrationKind.SOAP, HttpsLevel.TLS),))
_PHONE = Application("Phone", ApplicationKind.MOBILE_BACKEND, https=HttpsLevel.NONE)
_MUTUAL = Application("Mutual", _WEB, https=HttpsLevel.TLS_CLIENT_CERTIFICATE)
_OPEN = Application("Open", _WEB)
_REFUSED = probe(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, f"{_HTTPS}/"))
_FORBIDDEN = probe(hop(f"{_HTTPS}/", 403))


def _mutual(reason: str, *probes: HttpProbe, application: Application = _MUTUAL) -> Case:
    world = World(applications=(application,), http=http(*probes))
    return Case("https.client-certificate", reason, world, subjects=("/",))


def _as(identity: ClientIdentity, status: int = 200) -> HttpProbe:
    return probe(hop(f"{_HTTPS}/", status), identity=identity)


_STRANGER = probe(failing(FailureReason.HANDSHAKE_FAILED, f"{_HTTPS}/"), identity=ClientIdentity.WRONG)
_FRIEND = _as(ClientIdentity.CONFIGURED)

CASES = (
    Case("https.path", "none-configured"),
    Case("https.path", "not-http", _SERVER),
    _path("as-configured", _PAY, _PAY_REDIRECT),
    _path("as-configured", _PAY, _page(failing(FailureReason.REFUSED, f"{_HTTP}/pay"))),
    _path("as-configured", _PAY, _page(hop(f"{_HTTP}/pay", 403))),
    _path("as-configured", _PAY, http_port=None),
    _path("served-in-plain", _PAY, _PAY_PLAIN),
    _path("served-in-plain", _PAY, _page(hop(f"{_HTTP}/pay", meta_refresh=f"{_HTTPS}/pay"))),
    _path("through-plain", _PAY, _page(to(f"{_HTTP}/login", url=f"{_HTTP}/pay"))),
    _path("not-served", _page(hop(f"{_HTTPS}/pay", 503)), _PAY_REDIRECT),
    _path("not-found", _page(hop(f"{_HTTPS}/pay", 404)), _PAY_REDIRECT),
    _path("not-required", _PAY, _PAY_PLAIN, level=HttpsLevel.NONE),
    # The environment's setting wins over the path's own.
    _path("served-in-plain", _PAY, _PAY_PLAIN, level=HttpsLevel.NONE, environment={"force_https_screens": True}),
    _path(
        "as-configured",
        _page(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, f"{_HTTPS}/pay")),
        _PAY_REDIRECT,
        level=HttpsLevel.TLS_CLIENT_CERTIFICATE,
    ),
    _path("not-observed", _PAY),
    _path("not-observed", _PAY_REDIRECT),
    _path("not-observed", _PAY, _page(failing(FailureReason.DEADLINE, f"{_HTTP}/pay"))),
    _path("not-observed", _PAY_REDIRECT, _page(failing(FailureReason.TIMED_OUT, f"{_HTTPS}/pay"))),
    Case("https.path", "not-observed", World(applications=(_shop(),), http=TIMED_OUT), subjects=("/pay",)),
    # https.integration
    Case("https.integration", "none-configured"),
    Case("https.integration", "not-http", _SERVER),
    _integration("refused", _REST, _call(failing(FailureReason.REFUSED, f"{_HTTP}/rest"))),
    _integration("refused", _REST, _call(failing(FailureReason.TLS_ONLY, f"{_HTTP}/rest"))),
    _integration("refused", _REST, _call(failing(FailureReason.TIMED_OUT, f"{_HTTP}/rest"))),
    _integration("refused", _REST, _call(hop(f"{_HTTP}/rest", 403))),
    _integration(
        "refused", _call(hop(f"{_HTTPS}/rest", 401, content_type="application/json")), _call(hop(f"{_HTTP}/rest", 403))
    ),
    _integration("served-in-plain", _REST, _call(hop(f"{_HTTP}/rest")), severity=Severity.HIGH),
    _integration("redirected", _REST, _call(to(f"{_HTTPS}/rest", url=f"{_HTTP}/rest")), severity=Severity.MEDIUM),
    _integration("redirected", _REST, _call(to(f"{_HTTP}/other", url=f"{_HTTP}/rest"))),
    _integration("same-error", _call(hop(f"{_HTTPS}/rest", 401)), _call(hop(f"{_HTTP}/rest", 401))),
    # Of several methods the worst counts, and each is compared with itself over HTTPS.
    _integration(
        "served-in-plain",
        _REST,
        _call(hop(f"{_HTTP}/rest", 403)),
        _call(hop(f"{_HTTP}/rest", 204, method="OPTIONS")),
    ),
    _integration(
        "refused",
        _call(hop(f"{_HTTPS}/rest", 403, method="OPTIONS")),
        _REST,
        _call(hop(f"{_HTTP}/rest", 403)),
    ),
    # A SOAP service that answers with a fault has read the message.
    _integration(
        "served-in-plain",
        _call(hop(f"{_HTTP}/rest", 500, method="POST", content_type="text/xml; charset=utf-8")),
        application=_SOAP,
    ),
    _integration(
        "refused",
        _call(hop(f"{_HTTPS}/rest", method="POST", content_type="text/xml")),
        _call(hop(f"{_HTTP}/rest", 500, method="POST")),
        application=_SOAP,
    ),
    # Whether HTTPS gives the very same error is not known.
    _integration("not-observed", _call(hop(f"{_HTTP}/rest", 500, method="POST")), application=_SOAP),
    _integration(
        "not-observed", _call(failing(FailureReason.DEADLINE, f"{_HTTPS}/rest")), _call(hop(f"{_HTTP}/rest", 403))
    ),
    _integration(
        "refused",
        _call(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, f"{_HTTPS}/rest")),
        _call(hop(f"{_HTTP}/rest", 403)),
    ),
    _integration("not-required", _call(hop(f"{_HTTP}/rest")), application=_api(HttpsLevel.NONE)),
    _integration(
        "served-in-plain",
        _call(hop(f"{_HTTP}/rest")),
        application=_api(HttpsLevel.NONE),
        environment={"force_https_integrations": True},
    ),
    _integration("no-plain-port", _REST, http_port=None),
    _integration("not-observed", _REST),
    _integration("not-observed", _REST, _call(failing(FailureReason.DEADLINE, f"{_HTTP}/rest"))),
    # https.always
    Case("https.always", "no-such-application"),
    Case("https.always", "not-http", _SERVER),
    Case("https.always", "never-plain", World(applications=(_PHONE,)), observed="Phone"),
    Case("https.always", "served-in-plain", World(applications=(_PHONE,), http=http(probe(hop(f"{_HTTP}/"))))),
    Case(
        "https.always",
        "served-in-plain",
        World(applications=(_PHONE,), http=http(_page(hop(f"{_HTTP}/pay"), application="Phone"))),
    ),
    Case("https.always", "through-plain", World(applications=(_PHONE,), http=http(probe(to(f"{_HTTP}/b"))))),
    Case("https.always", "no-plain-port", World(applications=(_PHONE,), http_port=None)),
    Case("https.always", "not-observed", World(applications=(_PHONE,), http=TIMED_OUT)),
    Case(
        "https.always",
        "not-observed",
        World(applications=(_PHONE,), http=http(probe(failing(FailureReason.DEADLINE)))),
    ),
    # https.client-certificate
    Case("https.client-certificate", "none-configured"),
    Case("https.client-certificate", "not-http", _SERVER),
    _mutual("open", application=Application("Open", _WEB)),
    _mutual("demanded", _REFUSED, application=Application("Open", _WEB)),
    _mutual(
        "not-observed", probe(failing(FailureReason.TIMED_OUT, f"{_HTTPS}/")), application=Application("Open", _WEB)
    ),
    _mutual("not-observed", probe(failing(FailureReason.RESET, f"{_HTTPS}/")), application=Application("Open", _WEB)),
    *(
        _mutual(reason, probe(hop(f"{_HTTPS}/", status, certificate_requested=asked)), application=_OPEN)
        for reason, status, asked in (
            ("unclear", 403, False),
            ("unclear", 403, True),
            ("unclear", 400, False),
            ("demanded", 400, True),
            ("demanded", 496, False),
            ("open", 200, True),
            ("open", 404, False),
        )
    ),
    _mutual("not-required", application=Application("Plain", _WEB, https=HttpsLevel.NONE)),
    _mutual("enforced", _REFUSED, _FRIEND, _STRANGER),
    _mutual("enforced", _FORBIDDEN, _FRIEND, _as(ClientIdentity.WRONG, 403)),
    _mutual("works-without", _FRIEND),
    _mutual("accepts-any", _REFUSED, _FRIEND, _as(ClientIdentity.WRONG)),
    _mutual("refuses-configured", _REFUSED, _as(ClientIdentity.CONFIGURED, 403), _STRANGER),
    _mutual("no-certificate", _REFUSED),
    _mutual("not-observed", _REFUSED, _FRIEND),
    _mutual(
        "not-observed",
        _REFUSED,
        probe(failing(FailureReason.TIMED_OUT, f"{_HTTPS}/"), identity=ClientIdentity.CONFIGURED),
    ),
)
