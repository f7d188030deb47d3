"""Lists of revoked certificates, fetched once a run and kept until the next is due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from msgspec import Struct

from scanner.evidence import CLOCK_SKEW, RevocationFailure
from scanner.probe.authority.crl import Buffer, RevocationList
from scanner.probe.authority.fetching import Fetcher, FetchError, Question
from scanner.probe.authority.kept import Kept, KeptEntry, key_of
from scanner.probe.authority.published import Unusable, spki

LARGEST_LIST: Final = 128 << 20
"""Bytes of a list; the largest of public authorities have some 60 MB."""
_TIMEOUTS: Final = 6
"""A list as a whole may take so many timeouts of a single operation."""
KEPT_AT_MOST: Final = timedelta(hours=24)


class Fetched(Struct, frozen=True):
    """A list whose signature holds, when it was fetched, and why no newer one could be had."""

    list: RevocationList
    fetched_at: datetime
    from_cache: bool
    trouble: FetchError | Unusable | None = None


class Lists:
    """The lists of a run: each (URL, issuer's key) is asked for once, by whoever needs it first."""

    def __init__(self, fetcher: Fetcher, kept: Kept, timeout_s: float) -> None:
        self._fetcher = fetcher
        self._kept = kept
        self._seconds = _TIMEOUTS * timeout_s
        self._keys: dict[tuple[str, tuple[x509.Certificate, ...]], str] = {}
        self._asked: dict[str, asyncio.Task[Fetched]] = {}

    async def get(self, url: str, signers: Sequence[x509.Certificate]) -> Fetched:
        """The list at a URL, signed by one of these.

        Raises:
            FetchError: it could not be had.
            Unusable: what is there is no list, or none of theirs.
        """
        wanted = (url, tuple(signers))
        key = self._keys.get(wanted)
        if key is None:
            key = self._keys[wanted] = key_of(url, b"".join(spki(signer) for signer in signers))
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._get(url, key, signers))
        # Who stops waiting does not stop it for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is still being fetched."""
        tasks = [task for task in self._asked.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _get(self, url: str, key: str, signers: Sequence[x509.Certificate]) -> Fetched:
        entry = self._kept.read(key)
        known = await asyncio.to_thread(_checked, entry, signers) if entry is not None else None
        if known is not None and _fresh(known, datetime.now(UTC)):
            return known
        try:
            return await self._fetch(url, key, signers, entry if known is not None else None, known)
        except (FetchError, Unusable) as error:
            if known is None:
                raise
            # It says until when it holds; what it says of revocations holds in any case.
            return Fetched(known.list, known.fetched_at, from_cache=True, trouble=error)

    async def _fetch(
        self, url: str, key: str, signers: Sequence[x509.Certificate], entry: KeptEntry | None, known: Fetched | None
    ) -> Fetched:
        conditions = entry.conditions if entry is not None else ()
        question = Question(url, LARGEST_LIST, self._seconds, headers=conditions)
        try:
            with self._kept.writing() as draft:
                answer = await self._fetcher.fetch(question, draft.file.write)
                now = datetime.now(UTC)
                if answer.status != 200:  # noqa: PLR2004  # not modified
                    if known is None or entry is None:
                        raise Unusable(RevocationFailure.MALFORMED, "nothing was sent")
                    self._kept.confirm(entry)
                    return Fetched(known.list, now, from_cache=True)
                found = await asyncio.to_thread(_read, draft.body, signers)
                self._kept.keep(key, draft, url, answer.etag, answer.last_modified)
                return Fetched(found, now, from_cache=False)
        except OSError as error:
            raise FetchError(RevocationFailure.UNREACHABLE, f"it cannot be written: {error.strerror}") from error


def _read(data: Buffer, signers: Sequence[x509.Certificate]) -> RevocationList:
    found = RevocationList.read(data)
    found.check_signature(signers)
    return found


def _checked(entry: KeptEntry, signers: Sequence[x509.Certificate]) -> Fetched | None:
    try:
        return Fetched(_read(entry.body, signers), entry.fetched_at, from_cache=True)
    except Unusable:
        return None


def _fresh(known: Fetched, now: datetime) -> bool:
    """Whether it need not be asked for again: not yet due, and not older than a day."""
    due = known.list.next_update
    recent = known.fetched_at - CLOCK_SKEW <= now <= known.fetched_at + KEPT_AT_MOST
    return recent and due is not None and now < due and known.list.this_update <= now + CLOCK_SKEW
