"""Whether a certificate was revoked, as its authority's lists and responders say.

Lists come first: one answers for all certificates of an issuer, and the authority is not told which one is watched. A
responder is asked where no list decides and no good staple was sent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from datetime import UTC, datetime
from typing import Final

from scanner.evidence import (
    RevocationAnswer,
    RevocationFailure,
    RevocationSource,
    ServiceFault,
)
from scanner.probe.authority import ocsp
from scanner.probe.authority.chains import Named
from scanner.probe.authority.fetching import Fetcher, FetchError, Question
from scanner.probe.authority.kept import Kept, key_of
from scanner.probe.authority.lists import KEPT_AT_MOST, Fetched, Lists
from scanner.probe.authority.published import Judgement, Unusable, spki
from scanner.probe.x509.extensions import BROKEN
from scanner.untrusted import printable

_LARGEST_RESPONSE: Final = 65_536
_TIMEOUTS: Final = 2
"""A response as a whole may take so many timeouts of a single operation."""
_NO_GET: Final = frozenset({400, 403, 404, 405, 501})
_POST_HEADERS: Final = (("Content-Type", "application/ocsp-request"), ("Accept", "application/ocsp-response"))


class Asker:
    """Asks about certificates, each by itself; lists and budget are shared."""

    def __init__(self, fetcher: Fetcher, lists: Lists, kept: Kept, timeout_s: float) -> None:
        self._fetcher = fetcher
        self._lists = lists
        self._kept = kept
        self._seconds = _TIMEOUTS * timeout_s

    async def about(self, named: Named) -> tuple[RevocationAnswer, ...]:
        """What the sources say that a certificate names, as far as it takes to know."""
        if not named.signers or named.certificate is None:
            return named.failed(RevocationFailure.NO_ISSUER, "the issuer's certificate is not known")
        answers: list[RevocationAnswer] = []
        now = datetime.now(UTC)
        for url in named.lists:
            answers.append(await self._by_list(named, url))
            if answers[-1].decides(now):
                return tuple(answers)
        answers += [
            RevocationAnswer(
                named.fingerprint,
                RevocationSource.CRL,
                printable(place),
                failure=RevocationFailure.OTHER_SCOPE,
                detail=why,
            )
            for place, why in named.unread
        ]
        if named.stapled_until is not None and now <= named.stapled_until:
            return tuple(answers)
        for url in named.responders:
            answers.append(await self._by_responder(named, url, now))
            if answers[-1].decides(now):
                break
        return tuple(answers)

    async def _by_list(self, named: Named, url: str) -> RevocationAnswer:
        answer = RevocationAnswer(named.fingerprint, RevocationSource.CRL, printable(url))
        fetched: Fetched | None = None
        try:
            fetched = await self._lists.get(url, named.signers)
            assert named.certificate is not None  # noqa: S101  # `about` has seen to it
            some = url in named.some_reasons
            judged = fetched.list.judge(named.certificate, named.places, is_ca=named.is_ca, some_reasons=some)
        except (FetchError, Unusable) as error:
            answer = dataclasses.replace(answer, failure=error.failure, detail=error.detail)
            return _of_list(answer, fetched) if fetched is not None else answer
        trouble = f"no newer one: {fetched.trouble}" if fetched.trouble is not None else ""
        return _of_list(_judged(answer, judged, trouble), fetched)

    async def _by_responder(self, named: Named, url: str, now: datetime) -> RevocationAnswer:
        answer = RevocationAnswer(named.fingerprint, RevocationSource.OCSP, printable(url))
        certificate, issuer = named.certificate, named.signers[0]
        assert certificate is not None  # noqa: S101  # `about` has seen to it
        try:
            request = ocsp.request_for(certificate, issuer)
            key = key_of(url, spki(issuer), f"{certificate.serial_number:x}")
        except BROKEN as error:
            return dataclasses.replace(answer, failure=RevocationFailure.MALFORMED, detail=printable(str(error)))
        if (entry := self._kept.read(key)) is not None and now <= entry.fetched_at + KEPT_AT_MOST:
            data = bytes(entry.body)
            try:
                judged = _judged(answer, ocsp.judge(data, certificate, issuer, now))
            except Unusable:
                judged = answer
            if judged.decides(now):
                digest = hashlib.sha256(data).hexdigest()
                return dataclasses.replace(judged, fetched_at=entry.fetched_at, from_cache=True, digest=digest)
        try:
            data, faults = await self._response(url, request)
            answer = dataclasses.replace(answer, fetched_at=now, digest=hashlib.sha256(data).hexdigest())
            judged = _judged(answer, ocsp.judge(data, certificate, issuer, now))
        except (FetchError, Unusable) as error:
            return dataclasses.replace(answer, failure=error.failure, detail=error.detail)
        self._keep(key, url, data)
        return dataclasses.replace(judged, faults=(*judged.faults, *faults))

    def _keep(self, key: str, url: str, data: bytes) -> None:
        try:
            with self._kept.writing() as draft:
                draft.file.write(data)
                self._kept.keep(key, draft, url)
        except OSError:
            return  # it is asked for again

    async def _response(self, url: str, request: bytes) -> tuple[bytes, tuple[ServiceFault, ...]]:
        """The response to a request, and what was wrong with how it was given. Raises FetchError."""
        get = ocsp.get_url(url, request)
        if get is not None:
            try:
                return await self._body(Question(get, _LARGEST_RESPONSE, self._seconds)), ()
            except FetchError as error:
                if error.status not in _NO_GET:
                    raise
        question = Question(url, _LARGEST_RESPONSE, self._seconds, request, _POST_HEADERS)
        return await self._body(question), ((ServiceFault.NO_GET,) if get is not None else ())

    async def _body(self, question: Question) -> bytes:
        body = io.BytesIO()
        await self._fetcher.fetch(question, body.write)
        return body.getvalue()


def _judged(answer: RevocationAnswer, judged: Judgement, detail: str = "") -> RevocationAnswer:
    return dataclasses.replace(
        answer,
        status=judged.status,
        detail=printable(detail),
        reason=judged.reason,
        revoked_at=judged.revoked_at,
        this_update=judged.this_update,
        next_update=judged.next_update,
        faults=judged.faults,
    )


def _of_list(answer: RevocationAnswer, fetched: Fetched) -> RevocationAnswer:
    return dataclasses.replace(
        answer,
        this_update=fetched.list.this_update,
        next_update=fetched.list.next_update,
        fetched_at=fetched.fetched_at,
        from_cache=fetched.from_cache,
        digest=fetched.list.digest,
    )
