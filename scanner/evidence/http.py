"""What a server answers to HTTP, in plain and inside TLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from scanner.evidence.attempt import Attempt, Failure, not_run


@dataclass(frozen=True, slots=True)
class Cookie:
    """A Set-Cookie header, without the cookie's value: that may be a secret.

    `deleted`: it has ended when it is set, which tells browsers to forget the cookie.
    """

    name: str
    secure: bool
    http_only: bool
    same_site: str | None = None
    domain: str | None = None
    path: str | None = None
    deleted: bool = False


class ReferenceKind(StrEnum):
    """What a page does with a resource: fetch it as code, as a picture, send a form to it, or link to it."""

    ACTIVE = "active"
    PASSIVE = "passive"
    FORM = "form"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class InsecureReference:
    """An `http:` address in a page that was served over HTTPS."""

    kind: ReferenceKind
    tag: str
    url: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and what came back.

    `hsts` holds the raw Strict-Transport-Security header values, in order. `location` is the absolute address that the
    answer leads to, None where it is no redirect. `meta_refresh` is the address in a refresh element or header,
    `script_redirect` one that a script in the page sets. `body_truncated` tells that not all of the body was read: it
    is too long, too slow, broken off, or in a coding that was not asked for. `incomplete` says why, where the server or
    the clock broke the answer off; `headers_cut` that this happened within the headers, so that a header which is not
    here is unknown. `irregularities` are malformed parts of the answer that were overlooked, as browsers do.
    `certificate_requested`: the server asked for a client certificate. `failure` is set where no answer came.
    `headers` are those that protect a page, or tell of other ways to it, by their names in lower case, in order.
    """

    url: str
    method: str = "GET"
    status: int | None = None
    http_version: str = ""
    location: str | None = None
    hsts: tuple[str, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    content_type: str = ""
    server: str = ""
    body_bytes: int = 0
    body_truncated: bool = False
    meta_refresh: str | None = None
    script_redirect: str | None = None
    insecure_references: tuple[InsecureReference, ...] = ()
    upgrade_insecure_requests: bool = False
    failure: Failure | None = None
    incomplete: Failure | None = None
    headers_cut: bool = False
    irregularities: tuple[str, ...] = ()
    certificate_requested: bool = False
    headers: tuple[tuple[str, str], ...] = ()


class ChainEnd(StrEnum):
    """Why the following of redirects stopped."""

    ANSWER = "answer"
    FAILURE = "failure"
    LOOP = "loop"
    TOO_MANY = "too-many"
    OUT_OF_SCOPE = "out-of-scope"
    BAD_LOCATION = "bad-location"


class Purpose(StrEnum):
    """Why a request was made."""

    ROOT = "root"
    PATH = "path"
    INTEGRATION = "integration"


class ClientIdentity(StrEnum):
    """Which client certificate a request carried."""

    NONE = "none"
    CONFIGURED = "configured"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """One start address and the chain of answers that followed it, redirects by hand. There is at least one hop."""

    scheme: str
    path: str
    purpose: Purpose
    hops: tuple[Hop, ...]
    end: ChainEnd
    identity: ClientIdentity = ClientIdentity.NONE
    application: str | None = None

    @property
    def first(self) -> Hop:
        """The answer to the start address itself."""
        return self.hops[0]

    @property
    def last(self) -> Hop:
        """Where the chain ended."""
        return self.hops[-1]


@dataclass(frozen=True, slots=True)
class Echo:
    """What a page over HTTPS made of a word that was put into its address, asked for in compressed form.

    `coding` is the content coding of the answer, empty where it was not compressed; `echoed` tells that the word stood
    in the page.
    """

    url: str
    coding: str = ""
    echoed: bool = False


@dataclass(frozen=True, slots=True)
class HttpEvidence:
    """What HTTP answers, in plain and inside TLS. `echoes` are asked for where a policy judges them."""

    probes: tuple[HttpProbe, ...] = ()
    echoes: Attempt[tuple[Echo, ...]] = field(default_factory=not_run)

    def find(
        self,
        scheme: str,
        path: str = "/",
        *,
        purpose: Purpose | None = None,
        identity: ClientIdentity = ClientIdentity.NONE,
    ) -> HttpProbe | None:
        """The probe that started at `scheme` and `path` (of that purpose, where one is given), or None."""
        for probe in self.probes:
            if (probe.scheme, probe.path, probe.identity) == (scheme, path, identity) and purpose in {
                None,
                probe.purpose,
            }:
                return probe
        return None
