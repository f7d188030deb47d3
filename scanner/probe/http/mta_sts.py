"""The policy of MTA-STS of a domain, fetched as senders do: over verified HTTPS, without redirects (RFC 8461)."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Final

import certifi
import h11

from scanner.evidence import Attempt, Failure, FailureReason, StsPolicy
from scanner.probe import ProbeSettings
from scanner.probe.dns import addresses_of
from scanner.probe.net.gate import Gate, GateError
from scanner.untrusted import printable

_LARGEST: Final = 64 << 10
_OK: Final = 200
_LONGEST_AGE: Final = 31_557_600
_MODES: Final = frozenset({"enforce", "testing", "none"})
_LINE: Final = re.compile(r"[ \t]*([A-Za-z0-9_-]+)[ \t]*:[ \t]*(.*?)[ \t]*")


class _NoPolicyError(Exception):
    def __init__(self, reason: FailureReason, detail: object) -> None:
        self.failure = Failure.of(reason, detail)
        super().__init__(str(detail))


async def sts_policy_of(domain: str, settings: ProbeSettings) -> Attempt[StsPolicy]:  # noqa: PLR0911  # one for each way
    """Fetch the policy of a domain. It raises nothing; nothing is asked past a proxy."""
    if settings.proxy is not None:
        return Attempt.failed(FailureReason.NOT_ASKED, "the policy is not fetched through a proxy, nor past it")
    try:
        async with asyncio.timeout(settings.timeout_s):
            return Attempt.ok(parsed(await _fetched(f"mta-sts.{domain}", settings)))
    except _NoPolicyError as error:
        return Attempt(failure=error.failure)
    except TimeoutError:
        return Attempt.failed(FailureReason.TIMED_OUT, f"no policy within {settings.timeout_s:g} s")
    except ssl.SSLError as error:
        return Attempt.failed(FailureReason.HANDSHAKE_FAILED, getattr(error, "verify_message", "") or error)
    except GateError as error:
        return Attempt.failed(FailureReason.NOT_ASKED, error)
    except h11.ProtocolError as error:
        return Attempt.failed(FailureReason.MALFORMED, error)
    except OSError as error:
        return Attempt.failed(FailureReason.UNREACHABLE, error.strerror or error)


def parsed(text: str) -> StsPolicy:
    """Read a policy; keys that are not known are overlooked, as the RFC wants (section 3.2).

    Raises:
        _NoPolicyError: it is none.
    """
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            if line.strip():
                raise _NoPolicyError(FailureReason.MALFORMED, f"a line of the policy has no key: {line}")
        elif found[1] == "mx":
            mx.append(printable(found[2]))
        else:
            values.setdefault(found[1], found[2])
    age, mode = values.get("max_age", ""), values.get("mode", "")
    if values.get("version") != "STSv1" or mode not in _MODES or not age.isdecimal() or int(age) > _LONGEST_AGE:
        raise _NoPolicyError(FailureReason.MALFORMED, "the policy lacks a version, mode or max_age that are valid")
    if not mx and mode != "none":
        raise _NoPolicyError(FailureReason.MALFORMED, "the policy names no mail server")
    return StsPolicy(mode, int(age), tuple(mx))


async def _place(host: str, settings: ProbeSettings) -> tuple[str, int]:
    mapped = settings.connect_to.get(f"{host}:443")
    if mapped:
        ip, _, port = mapped[0].rpartition(":")
        return ip.strip("[]"), int(port)
    found = await addresses_of(host, settings.resolver)
    if isinstance(found, Failure):
        raise _NoPolicyError(found.reason, found.detail)
    gate = Gate.of(settings.fetch_from)
    for ip in found:
        gate.judge(ip, host)
    return found[0], 443


def _context(settings: ProbeSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    for store in settings.trust_stores:
        if store == "system":
            context.load_default_certs()
        elif store != "mozilla":
            context.load_verify_locations(store)
    return context


async def _fetched(host: str, settings: ProbeSettings) -> str:
    ip, port = await _place(host, settings)
    local = (settings.source_address, 0) if settings.source_address else None
    reader, writer = await asyncio.open_connection(
        ip, port, ssl=_context(settings), server_hostname=host, local_addr=local
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [("Host", host), ("User-Agent", settings.user_agent), ("Connection", "close")]
        request = h11.Request(method="GET", target="/.well-known/mta-sts.txt", headers=headers)
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_LARGEST))
            elif isinstance(event, h11.Response) and event.status_code != _OK:
                raise _NoPolicyError(FailureReason.MALFORMED, f"the policy's host answers {event.status_code}")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST:
                    raise _NoPolicyError(FailureReason.TOO_LARGE, "the policy is larger than a policy is")
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return body.decode("utf-8", "replace")
    finally:
        writer.close()
