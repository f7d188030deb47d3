"""Applications and services that HTTPS must be enforced for, and the ways in which people get that wrong.

What must be said of each depends on what its owners demand: `scanner/lab/enforcement.toml` configures it.
"""

from typing import Final

from msgspec import structs

from scanner.lab.case import Case, expect
from scanner.lab.http import GOOD_COOKIE, GOOD_HSTS, GOOD_SITE, REDIRECT_TO_HTTPS, Response, Site, redirect

SOAP_PATH: Final = "/soap/Orders.asmx"
REST_PATH: Final = "/rest/v1/orders"

_TLS_IS_RIGHT = "https.active proto.no-tls1.0 proto.tls1.3 cert.trusted cert.hostname integrity.aead"
_PAGE_IS_RIGHT = f"{_TLS_IS_RIGHT} https.hsts https.secure-cookies"
_ANY_METHOD: Final = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")

_SOAP_FAULT = Response(
    500,
    body='<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
    "<soap:Body><soap:Fault><faultcode>soap:Client</faultcode><faultstring>The body holds no operation</faultstring>"
    "</soap:Fault></soap:Body></soap:Envelope>",
    content_type="text/xml; charset=utf-8",
    methods=("POST",),
)
_REST_LIST = Response(
    body='{"orders": []}',
    content_type="application/json",
    methods=("GET", "HEAD", "OPTIONS", "POST"),
    headers=(GOOD_HSTS,),
)
_SERVICE = {SOAP_PATH: _SOAP_FAULT, REST_PATH: _REST_LIST}
_SERVICE_SITE = Site(GOOD_SITE.default, _SERVICE)
_FORBIDDEN = Response(403, body="HTTPS only", content_type="text/plain", methods=_ANY_METHOD)
_MOVED = structs.replace(redirect("https://{host}{path}"), methods=_ANY_METHOD)

CASES = (
    Case(
        name="redirect-on-root-only",
        application='kind = "traditional-web"\npaths = [{ path = "/app" }]',
        description="Plain HTTP redirects / to HTTPS, and serves every other page itself",
        plain=Site(routes={"/": redirect("https://{host}/")}),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect https.redirect-permanent"),
    ),
    Case(
        name="api-redirected",
        description="A SOAP and REST service whose plain calls are redirected, after they have travelled",
        site=_SERVICE_SITE,
        plain=Site(_MOVED),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect https.redirect-permanent"),
    ),
    Case(
        name="api-refused",
        application=f'kind = "service"\nintegrations = [{{ path = "{REST_PATH}", kind = "rest" }}]',
        description="Nothing: a SOAP and REST service that forbids plain calls, and redirects pages",
        site=_SERVICE_SITE,
        plain=Site(REDIRECT_TO_HTTPS.default, dict.fromkeys(_SERVICE, _FORBIDDEN)),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect https.redirect-permanent"),
    ),
    Case(
        name="api-in-plain",
        description="A SOAP and REST service that answers plain calls, and redirects pages",
        site=_SERVICE_SITE,
        plain=Site(REDIRECT_TO_HTTPS.default, _SERVICE),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect https.redirect-permanent"),
    ),
    Case(
        name="api-closed",
        description="Nothing: a SOAP and REST service that has no port of plain HTTP",
        site=_SERVICE_SITE,
        plain=None,
        expected=expect(_PAGE_IS_RIGHT),
    ),
    Case(
        name="mobile-in-plain",
        application=f'kind = "mobile-backend"\nintegrations = [{{ path = "{REST_PATH}", kind = "rest" }}]',
        description="The back end of a mobile application: pages are redirected, its calls are answered in plain",
        site=_SERVICE_SITE,
        plain=Site(REDIRECT_TO_HTTPS.default, {REST_PATH: _REST_LIST}),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect https.redirect-permanent"),
    ),
    Case(
        name="console-in-plain",
        role="development",
        description="A console with HTTPS, and over plain HTTP too",
        plain=Site(
            Response(body="<!doctype html><title>Console</title><form method=post><input type=password></form>")
        ),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="meta-refresh",
        description="Plain HTTP serves a page that leads to HTTPS by a refresh element",
        plain=Site(Response(body='<!doctype html><meta http-equiv=refresh content="0; url=https://{host}/">')),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="script-redirect",
        description="Plain HTTP serves a page that leads to HTTPS by a script",
        plain=Site(Response(body="<!doctype html><script>location.protocol = 'https:'</script>")),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="hsts-on-redirect-only",
        description="HSTS comes with the redirect to the start page, and not with the start page",
        site=Site(
            Response(headers=(GOOD_COOKIE,)),
            {"/": Response(302, (("Location", "https://{host}/home"), GOOD_HSTS), "")},
        ),
        expected=expect(f"{_TLS_IS_RIGHT} https.redirect https.redirect-permanent", "https.hsts"),
    ),
    Case(
        name="hsts-on-one-node",
        description="One name with two addresses, the second of which sends no HSTS",
        addresses=("127.0.0.1", "127.0.0.2"),
        second_site=Site(Response(headers=(GOOD_COOKIE,))),
        expected=expect(f"{_TLS_IS_RIGHT} https.redirect https.redirect-permanent", "https.node-consistency"),
    ),
)
