"""Servers whose TLS is right and which do not see to it that it is used, or that it stays in use."""

from scanner.lab.case import Case, expect
from scanner.lab.http import GOOD_COOKIE, GOOD_HSTS, PAGE, Response, Site, redirect

_TLS_IS_RIGHT = "https.active proto.no-tls1.0 proto.tls1.3 cert.trusted cert.hostname integrity.aead"
_PAGE_IS_RIGHT = f"{_TLS_IS_RIGHT} https.hsts https.secure-cookies"
_REDIRECT_IS_RIGHT = f"{_TLS_IS_RIGHT} https.redirect https.redirect-permanent"


def _with_hsts(value: str) -> Site:
    return Site(Response(headers=(("Strict-Transport-Security", value), GOOD_COOKIE)))


CASES = (
    Case(
        name="no-redirect",
        description="Plain HTTP serves the page itself",
        plain=Site(),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="no-plain-http",
        role="monitoring",
        description="Nothing: the port of plain HTTP refuses connections",
        plain=None,
        expected=expect(_PAGE_IS_RIGHT),
    ),
    Case(
        name="temporary-redirect",
        description="Plain HTTP redirects to HTTPS with 302",
        plain=Site(redirect("https://{host}{path}", 302)),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect", "https.redirect-permanent"),
    ),
    Case(
        name="redirect-other-host-first",
        description="Plain HTTP redirects to HTTPS on another host, so this one never learns HSTS",
        plain=Site(redirect("https://good.lab.example{path}")),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="redirect-through-http",
        description="Plain HTTP redirects to another plain URL before it goes to HTTPS",
        plain=Site(redirect("http://{host}/welcome"), {"/welcome": redirect("https://{host}/")}),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="redirect-loop",
        description="Plain HTTP redirects to plain HTTP in a circle",
        plain=Site(redirect("http://{host}/a"), {"/a": redirect("http://{host}/b")}),
        expected=expect(_PAGE_IS_RIGHT, "https.redirect"),
    ),
    Case(
        name="https-redirect-loop",
        description="HTTPS redirects to itself in a circle",
        site=Site(Response(302, (("Location", "https://{host}/"), GOOD_HSTS), "")),
        expected=expect(f"{_REDIRECT_IS_RIGHT} https.hsts"),
    ),
    Case(
        name="no-hsts",
        description="HTTPS answers without Strict-Transport-Security",
        site=Site(Response(headers=(GOOD_COOKIE,))),
        expected=expect(_REDIRECT_IS_RIGHT, "https.hsts"),
    ),
    Case(
        name="short-hsts",
        description="HSTS lasts a day",
        site=_with_hsts("max-age=86400; includeSubDomains"),
        expected=expect(f"{_REDIRECT_IS_RIGHT} https.hsts https.hsts-subdomains", "https.hsts-max-age"),
    ),
    Case(
        name="hsts-without-subdomains",
        description="HSTS leaves the subdomains out",
        site=_with_hsts("max-age=63072000"),
        expected=expect(f"{_REDIRECT_IS_RIGHT} https.hsts https.hsts-max-age", "https.hsts-subdomains"),
    ),
    Case(
        name="hsts-invalid",
        description="HSTS names a directive twice, which makes the header void",
        site=_with_hsts("max-age=63072000; includeSubDomains; max-age=0"),
        expected=expect(_REDIRECT_IS_RIGHT, "https.hsts"),
    ),
    Case(
        name="hsts-switched-off",
        description="HSTS with a max-age of 0, which tells browsers to forget it",
        site=_with_hsts("max-age=0"),
        expected=expect(_REDIRECT_IS_RIGHT, "https.hsts-max-age"),
    ),
    Case(
        name="hsts-over-http",
        description="HSTS is sent over plain HTTP too",
        plain=Site(Response(301, (("Location", "https://{host}{path}"), GOOD_HSTS), "")),
        expected=expect(f"{_TLS_IS_RIGHT} https.redirect https.redirect-permanent", "https.hsts"),
    ),
    Case(
        name="insecure-cookie",
        description="HTTPS sets a cookie without Secure",
        site=Site(Response(headers=(GOOD_HSTS, GOOD_COOKIE, ("Set-Cookie", "tracking=2; Path=/; HttpOnly")))),
        expected=expect(f"{_REDIRECT_IS_RIGHT} https.hsts", "https.secure-cookies"),
        visible={"https": r"Set-Cookie: tracking=2; Path=/; HttpOnly\n"},
    ),
    Case(
        name="downgrade-redirect",
        description="HTTPS redirects to plain HTTP, which serves the page",
        site=Site(Response(302, (("Location", "http://{host}/plain"), GOOD_HSTS), "")),
        plain=Site(),
        expected=expect(_TLS_IS_RIGHT, "https.no-downgrade https.redirect"),
    ),
    Case(
        name="mixed-content",
        description="The HTTPS page loads a script and sends its form over plain HTTP",
        site=Site(
            Response(
                headers=(GOOD_HSTS, GOOD_COOKIE),
                body=PAGE + '<script src="http://{host}/a.js"></script><form action="http://{host}/login" method=post>'
                "<input name=password type=password></form>",
            )
        ),
        expected=expect(f"{_REDIRECT_IS_RIGHT} https.hsts https.secure-cookies", "https.no-downgrade"),
        visible={"https": r"<script src=\"http://\S+/a\.js\">.*action=\"http://\S+/login\""},
    ),
    Case(
        name="hostile-headers",
        description="Headers hold markup and 8 kB of text",
        site=Site(
            Response(
                headers=(
                    ("Server", "<script>alert(1)</script>"),
                    ("X-Powered-By", "A" * 8192),
                    ("Strict-Transport-Security", 'max-age="><img src=x onerror=alert(2)>'),
                    ("Set-Cookie", "=cmd|' /C calc'!A0=<b>1</b>; Path=/"),
                )
            )
        ),
        plain=Site(redirect('https://{host}/?"><script>alert(3)</script>' + "A" * 8192)),
        expected=expect(_TLS_IS_RIGHT, "https.hsts https.secure-cookies"),
    ),
    Case(
        name="malformed-headers",
        description="Headers hold control characters and a line without a name",
        site=Site(Response(headers=(("X-Escape", "\x1b[31mred\x00"), ("", "nameless"), GOOD_HSTS))),
        plain=Site(Response(301, (("Location", "https://{host}\x1b[31m/\x00"),), "")),
        expected=expect(_TLS_IS_RIGHT),
    ),
    Case(
        name="opossum",
        description="Plain HTTP switches to TLS when it is asked to (RFC 2817), which Opossum makes use of",
        plain_upgrade=True,
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect"),
    ),
    Case(
        name="breach",
        description="A compressed page gives back what its address says, which BREACH makes use of",
        site=Site(Response(headers=(GOOD_HSTS, GOOD_COOKIE), body=PAGE + "<p>You asked for {path}.", compressed=True)),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect"),
    ),
    Case(
        name="compressed",
        description="Nothing: a page that is compressed, and gives back nothing of its address",
        site=Site(Response(headers=(GOOD_HSTS, GOOD_COOKIE), compressed=True)),
        expected=expect(f"{_PAGE_IS_RIGHT} https.redirect"),
    ),
    Case(
        name="endless-body",
        description="HTTPS answers with a page that never ends",
        site=Site(Response(headers=(GOOD_HSTS, GOOD_COOKIE), endless=True)),
        expected=expect(f"{_REDIRECT_IS_RIGHT} https.hsts"),
    ),
)
