"""What a page does by itself: fetch over plain HTTP, post to it, or lead on to another address.

The parser follows the HTML standard, so that it sees what browsers see, and needs the same time for a hostile page as
for an honest one (docs/adr/0003-http-probe-libraries.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

import turbohtml
from msgspec import Struct

from scanner.evidence import InsecureReference, ReferenceKind
from scanner.probe.http.headers import refresh_of, upgrades_insecure_requests
from scanner.probe.http.url import Url
from scanner.untrusted import printable

URL_LIMIT: Final = 500
"""Characters of an address that are kept as evidence."""

_MOST_OF_A_KIND: Final = 50
_MOST_REFERENCES: Final = 50
_PLAIN: Final = re.compile(r"[\x00-\x20]*h[\t\n\r]*t[\t\n\r]*t[\t\n\r]*p[\t\n\r]*:", re.IGNORECASE)

_BY_ATTRIBUTE: Final = {
    "script": (("src", ReferenceKind.ACTIVE), ("href", ReferenceKind.ACTIVE), ("xlink:href", ReferenceKind.ACTIVE)),
    "iframe": (("src", ReferenceKind.ACTIVE),),
    "frame": (("src", ReferenceKind.ACTIVE),),
    "object": (("data", ReferenceKind.ACTIVE),),
    "embed": (("src", ReferenceKind.ACTIVE),),
    "use": (("href", ReferenceKind.ACTIVE), ("xlink:href", ReferenceKind.ACTIVE)),
    "img": (("src", ReferenceKind.PASSIVE),),
    "image": (("href", ReferenceKind.PASSIVE), ("xlink:href", ReferenceKind.PASSIVE)),
    "source": (("src", ReferenceKind.PASSIVE),),
    "audio": (("src", ReferenceKind.PASSIVE),),
    "video": (("src", ReferenceKind.PASSIVE), ("poster", ReferenceKind.PASSIVE)),
    "track": (("src", ReferenceKind.PASSIVE),),
    "body": (("background", ReferenceKind.PASSIVE),),
    "form": (("action", ReferenceKind.FORM),),
    "button": (("formaction", ReferenceKind.FORM),),
    "input": (("formaction", ReferenceKind.FORM),),
    "a": (("href", ReferenceKind.LINK), ("xlink:href", ReferenceKind.LINK)),
    "area": (("href", ReferenceKind.LINK),),
}
"""Where an address stands, by element, and what browsers do with it (W3C Mixed Content, section 3)."""

_FETCHED_LINKS: Final = {
    "stylesheet": ReferenceKind.ACTIVE,
    "preload": ReferenceKind.ACTIVE,
    "modulepreload": ReferenceKind.ACTIVE,
    "manifest": ReferenceKind.ACTIVE,
    "icon": ReferenceKind.PASSIVE,
    "apple-touch-icon": ReferenceKind.PASSIVE,
}
_CSS: Final = re.compile(
    r"""(?P<imported>@import\s{1,20}(?:url\(\s{0,20})?|url\(\s{0,20})["']?(?P<url>http:[^\s"')]{1,500})""",
    re.IGNORECASE,
)

# How a script leads on. Every repetition is bounded: the text is hostile.
_SCRIPT_URL: Final = re.compile(
    r"""(?<![\w$])location(?:\.href\s{0,9}=|\s{0,9}=|\.(?:replace|assign)\s{0,9}\()\s{0,9}"""
    r"""(?P<quote>["'`])(?P<url>[^"'`\\\r\n]{1,500})(?P=quote)"""
)
_SCRIPT_UPGRADE: Final = re.compile(
    r"""(?<![\w$])location(?:\.href|\.protocol)?\s{0,9}(?:=|\.(?:replace|assign)\s{0,9}\()[^;\r\n]{0,200}?"""
    r"""["'`]https:(?://)?["'`]"""
)
_LOOKS_LIKE_ADDRESS: Final = re.compile(r"https?:|[/.?]", re.IGNORECASE)
_SCHEME_ALONE: Final = re.compile(r"https?:/{0,2}", re.IGNORECASE)
_DATA_SCRIPT: Final = re.compile(r"json|template|importmap|speculationrules", re.IGNORECASE)
_RUN_AT_ONCE: Final = ("onload", "onpageshow")


class Page(Struct, frozen=True):
    """What a page does by itself; addresses are absolute and printable."""

    meta_refresh: str | None = None
    script_redirect: str | None = None
    insecure_references: tuple[InsecureReference, ...] = ()
    upgrade_insecure_requests: bool = False


def read_page(body: bytes, url: Url, own_hosts: Collection[str], charset: str | None = None) -> Page:
    """Read a page that was served at `url`.

    Of plain links only those to `own_hosts` count: where else a page points to is not its owners' doing. References
    are looked for in pages that came over HTTPS, at most 50 of them, those first that do most harm.
    """
    document = _parse(body, charset)
    base = _base(document, url)
    found: dict[ReferenceKind, list[InsecureReference]] = {kind: [] for kind in ReferenceKind}
    refresh = script = None
    upgrade = False
    for element in document.iter_elements():
        tag = element.tag
        if tag == "meta":
            equivalent = (element.attr("http-equiv") or "").strip().lower()
            content = element.attr("content") or ""
            if equivalent == "refresh" and refresh is None:
                refresh = refresh_of(content)
            elif equivalent == "content-security-policy":
                upgrade = upgrade or upgrades_insecure_requests([content])
        elif script is None and (text := _script(element, tag)):
            script = _redirect_in(text, base, url)
        if url.scheme == "https":
            for kind, reference in _references(element, tag):
                if len(found[kind]) < _MOST_OF_A_KIND:
                    _note(found[kind], kind, tag, reference, base, own_hosts)
    references = [
        reference
        for kind in (ReferenceKind.ACTIVE, ReferenceKind.FORM, ReferenceKind.PASSIVE, ReferenceKind.LINK)
        for reference in found[kind]
    ]
    return Page(
        meta_refresh=absolute(base, refresh) if refresh else None,
        script_redirect=script,
        insecure_references=tuple(references[:_MOST_REFERENCES]),
        upgrade_insecure_requests=upgrade,
    )


def absolute(base: Url, reference: str) -> str:
    """An address that a server wrote, made absolute where it can be, and fit for evidence."""
    joined = base.join(reference)
    return printable(reference if joined is None else str(joined), URL_LIMIT)


def _parse(body: bytes, charset: str | None) -> turbohtml.Document:
    # With scripting on, as in a browser: what stands in <noscript> is text then. What the label says is tried first.
    if charset is not None:
        try:
            return turbohtml.parse(body, encoding=charset, positions=False, scripting=True)
        except LookupError:
            pass  # no such encoding: the page itself may say
    return turbohtml.parse(body, positions=False, scripting=True)


def _base(document: turbohtml.Document, url: Url) -> Url:
    for element in document.iter_elements("base"):
        reference = element.attr("href")
        if reference is not None:
            return url.join(reference) or url
    return url


def _references(element: turbohtml.Element, tag: str) -> Iterator[tuple[ReferenceKind, str]]:
    for attribute, kind in _BY_ATTRIBUTE.get(tag, ()):
        if value := element.attr(attribute):
            yield kind, value
    if tag in {"img", "source"}:
        for candidate in srcset(element.attr("srcset") or ""):
            yield ReferenceKind.PASSIVE, candidate
    elif tag == "input" and (element.attr("type") or "").lower() == "image":
        yield ReferenceKind.PASSIVE, element.attr("src") or ""
    elif tag == "link":
        for relation in (element.attr("rel") or "").lower().split():
            if relation in _FETCHED_LINKS:
                yield _FETCHED_LINKS[relation], element.attr("href") or ""
                break
    yield from _styles((element.text if tag == "style" else element.attr("style")) or "")


def _styles(text: str) -> Iterator[tuple[ReferenceKind, str]]:
    for found in _CSS.finditer(text):
        imported = found["imported"].startswith("@")
        yield ReferenceKind.ACTIVE if imported else ReferenceKind.PASSIVE, found["url"]


def srcset(value: str) -> Iterator[str]:
    """The addresses of a srcset attribute (HTML standard, "parse a srcset attribute"), without its descriptors."""
    address_next = True
    for word in value.split():
        rest = word
        if not address_next:
            _, comma, rest = word.partition(",")
            if not comma:
                continue
            address_next = True
        if address := rest.strip(","):
            yield address
            address_next = rest.endswith(",")


def _note(  # noqa: PLR0913, PLR0917  # one line of a table, all of its columns
    found: list[InsecureReference],
    kind: ReferenceKind,
    tag: str,
    reference: str,
    base: Url,
    own_hosts: Collection[str],
) -> None:
    # Seen from an https base, nothing but an address that spells out "http:" is plain; most are not, and are quick.
    if base.scheme == "https" and not _PLAIN.match(reference):
        return
    url = base.join(reference)
    if url is None or url.scheme != "http" or (kind is ReferenceKind.LINK and url.host not in own_hosts):
        return
    noted = InsecureReference(kind, printable(tag, 40), printable(str(url), URL_LIMIT))
    if noted not in found:
        found.append(noted)


def _script(element: turbohtml.Element, tag: str) -> str:
    """The script that runs by itself at an element."""
    if tag == "script":
        return "" if _DATA_SCRIPT.search(element.attr("type") or "") else element.text
    return " ".join(filter(None, (element.attr(name) for name in _RUN_AT_ONCE))) if tag == "body" else ""


def _redirect_in(text: str, base: Url, url: Url) -> str | None:
    for found in _SCRIPT_URL.finditer(text):
        reference = found["url"]
        if not _SCHEME_ALONE.fullmatch(reference) and _LOOKS_LIKE_ADDRESS.match(reference):
            return absolute(base, reference)
    if _SCRIPT_UPGRADE.search(text):
        return printable(str(url.with_scheme("https")), URL_LIMIT)
    return None
