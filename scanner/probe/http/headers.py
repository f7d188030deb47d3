"""What the headers of an answer say of cookies, of refreshing, and of insecure requests.

Headers come as bytes, as often as the server sent them, in its order: merging them would hide what is wrong.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import mktime_tz, parsedate_tz
from itertools import islice
from typing import Final

from scanner.evidence import Cookie
from scanner.untrusted import printable

Headers = Sequence[tuple[bytes, bytes]]

_MOST_COOKIES: Final = 50
_LONGEST_COOKIE: Final = 4096
_LONGEST_ATTRIBUTE: Final = 1024
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_REFRESH: Final = re.compile(r"\s*[\d.]+\s*(?:[;,\s]\s*(?P<rest>.*))?", re.DOTALL)
_REFRESH_URL: Final = re.compile(r"url\s*=\s*(?P<url>.*)", re.DOTALL | re.IGNORECASE)
_MAX_AGE: Final = re.compile(rb"-?[0-9]+")
_LONGEST_REFRESH: Final = 16_384
_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*["']?([\w:.-]{1,40})""", re.IGNORECASE)


KEPT: Final = frozenset({
    b"content-security-policy", b"content-security-policy-report-only", b"x-frame-options", b"x-content-type-options",
    b"referrer-policy", b"permissions-policy", b"cross-origin-opener-policy", b"cross-origin-embedder-policy",
    b"cross-origin-resource-policy", b"x-xss-protection", b"cache-control", b"alt-svc", b"content-encoding",
    b"transfer-encoding", b"x-powered-by", b"upgrade",
})  # fmt: skip
"""The headers that are kept as they are. Others may hold what is nobody's business."""
_MOST_KEPT: Final = 30
_LONGEST_KEPT: Final = 4096


def kept_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The headers that protect a page or tell of other ways to it: name in lower case, and value, in order."""
    kept = ((key.lower(), value) for key, value in headers if key.lower() in KEPT)
    return tuple(
        (key.decode("ascii"), printable(text_of(value), _LONGEST_KEPT)) for key, value in islice(kept, _MOST_KEPT)
    )


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of the header called `name` (lower case)."""
    return [value for key, value in headers if key.lower() == name]


def text_of(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is that, else the Latin-1 that HTTP once said it was."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def cookies_of(headers: Headers, now: float | None = None) -> tuple[Cookie, ...]:
    """Read Set-Cookie headers the way browsers do, and leave out those that browsers drop unread.

    Source: RFC 6265bis section 5.6 (draft-ietf-httpbis-rfc6265bis). Values are not kept. `now` is the time by which
    cookies have ended, in seconds since 1970; the clock's where it is left out.
    """
    now = time.time() if now is None else now
    cookies = []
    for value in values_of(headers, b"set-cookie"):
        cookie = _cookie(value, now)
        if cookie is not None:
            cookies.append(cookie)
        if len(cookies) == _MOST_COOKIES:
            break
    return tuple(cookies)


def _cookie(header: bytes, now: float) -> Cookie | None:
    if _CONTROLS.search(header):
        return None
    pair, _, rest = header.partition(b";")
    name, equals, value = pair.partition(b"=")
    if not equals:
        name, value = b"", pair
    name, value = name.strip(b" \t"), value.strip(b" \t")
    if not (name or value) or len(name) + len(value) > _LONGEST_COOKIE:
        return None
    attributes = _attributes(rest)
    domain = attributes.get(b"domain", b"").removeprefix(b".").lower()
    path = attributes.get(b"path", b"")
    same_site = attributes.get(b"samesite")
    return Cookie(
        name=printable(name),
        secure=b"secure" in attributes,
        http_only=b"httponly" in attributes,
        same_site=None if same_site is None else printable(same_site),
        domain=printable(domain) if domain else None,
        path=printable(path) if path.startswith(b"/") else None,
        deleted=_deleted(attributes, now),
    )


def _deleted(attributes: Mapping[bytes, bytes], now: float) -> bool:
    """Whether a cookie has ended when it is set: Max-Age wins over Expires (RFC 6265bis section 5.7)."""
    age = attributes.get(b"max-age", b"")
    if _MAX_AGE.fullmatch(age):
        return age.startswith(b"-") or not age.strip(b"0")
    date = parsedate_tz(attributes.get(b"expires", b"").decode("ascii", "replace"))
    try:
        return date is not None and mktime_tz(date) <= now
    except (ValueError, OverflowError):  # there is no such day
        return False


def _attributes(text: bytes) -> dict[bytes, bytes]:
    """Attributes by lower-case name; of several with one name the last counts."""
    attributes = {}
    for part in text.split(b";"):
        name, _, value = part.partition(b"=")
        value = value.strip(b" \t")
        if len(value) <= _LONGEST_ATTRIBUTE:
            attributes[name.strip(b" \t").lower()] = value
    return attributes


def refresh_of(content: str) -> str | None:
    """The address in a Refresh header or a refresh element, as written; None where it only reloads, or is void.

    Source: HTML standard, "shared declarative refresh steps".
    """
    time = _REFRESH.fullmatch(content[:_LONGEST_REFRESH])
    rest = time["rest"] if time else None
    if not rest:
        return None
    named = _REFRESH_URL.fullmatch(rest)
    address = named["url"] if named else rest
    if address[:1] in {'"', "'"}:
        address = address[1:].partition(address[0])[0]
    return address.strip() or None


def upgrades_insecure_requests(policies: Iterable[str]) -> bool:
    """Whether one of the Content-Security-Policy values tells browsers to fetch over HTTPS what a page names in plain.

    Source: Upgrade Insecure Requests, section 3. A report-only policy does not.
    """
    return any(
        directive.split(None, 1)[:1] == ["upgrade-insecure-requests"]
        for policy in policies
        for part in policy.lower().split(",")
        for directive in part.split(";")
    )


def charset_of(content_type: str) -> str | None:
    """The charset parameter of a Content-Type."""
    found = _CHARSET.search(content_type)
    return found[1] if found else None
