"""Two flaws that no hello shows, asked for where a policy judges them: padding oracles in CBC, and keys used again.

A padding oracle tells by its answers in what way a record was broken, and so decrypts for an attacker (Vaudenay; POODLE
over TLS, GOLDENDOODLE, Zombie POODLE, CVE-2019-1559). A handshake is made with a suite in CBC and without
encrypt-then-MAC; then one record is sent that is broken in one way. Answers alone are compared, no times. What differs
is told only where two more series come out as the first: an answer by chance must not call a server broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from msgspec import Struct
from tlslite.api import HandshakeSettings, TLSConnection  # type: ignore[import-untyped]  # it ships no types
from tlslite.constants import AlertDescription, ContentType  # type: ignore[import-untyped]  # it ships no types
from tlslite.messages import Message  # type: ignore[import-untyped]  # it ships no types
from tlslite.recordlayer import RecordLayer  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Attempt, Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.full_handshake import Buffers, OtherwiseError, completed, driven
from scanner.probe.survey.hello import WIRE_VERSIONS, Offer
from scanner.probe.survey.server_flight import ServerFlight

RIGHT: Final = "a right record"
BROKEN: Final = ("a wrong MAC", "wrong padding", "padding longer than the record", "a wrong MAC and no content")
"""The ways in which a record is broken; all have to be answered alike (RFC 5246 section 6.2.3.2)."""
_MAC, _PADDING, _LENGTH, _EMPTY = BROKEN
_SERIES: Final = 3
_LOOKS: Final = 3
"""Connections that have to show the same ephemeral key: two, and one that confirms them."""
_PATIENCE: Final = 0.7
"""Of the time that a connection may take, how much passes before silence is called the answer."""
_CIPHERS: Final = {"AES_128_CBC": "aes128", "AES_256_CBC": "aes256", "3DES_EDE_CBC": "3des"}
_EXCHANGES: Final = {
    "RSA": "rsa", "DHE_RSA": "dhe_rsa", "ECDHE_RSA": "ecdhe_rsa", "ECDHE_ECDSA": "ecdhe_ecdsa",
}  # fmt: skip
_SMALLEST_KEY, _LARGEST_KEY = 512, 4096


class CbcOffer(Struct, frozen=True):
    """What a handshake with CBC is made of, in the words of the library."""

    protocol: Protocol
    ciphers: tuple[str, ...]
    exchanges: tuple[str, ...]


def cbc_offer(protocol: Protocol, suites: Iterable[str]) -> CbcOffer | None:
    """The offer of those of the accepted suites that the library can do; None where it can do none."""
    ciphers: dict[str, None] = {}
    exchanges: dict[str, None] = {}
    for name in suites:
        exchange, _, cipher = name.removeprefix("TLS_").partition("_WITH_")
        ours = next((ours for mark, ours in _CIPHERS.items() if cipher.startswith(f"{mark}_SHA")), None)
        if ours is not None and exchange in _EXCHANGES:
            ciphers[ours] = exchanges[_EXCHANGES[exchange]] = None
    return CbcOffer(protocol, tuple(ciphers), tuple(exchanges)) if ciphers else None


async def padding_oracles(
    client: HelloClient, offer: CbcOffer, server_name: str | None, content: bytes
) -> Attempt[tuple[str, ...]]:
    """The broken records that the server tells from others; none where it answers all alike, and not as a right one.

    `content` is what a right record says, which the server answers.
    """
    answers: dict[str, set[str]] = {}
    for series in range(_SERIES):
        for kind in (RIGHT, *BROKEN):
            answer = await _answer(client, offer, server_name, kind, content)
            if isinstance(answer, Failure):
                return Attempt(failure=answer)
            answers.setdefault(kind, set()).add(answer)
        if series == 0 and not told_apart(answers):
            break
    told = "; ".join(f"{kind}: {' or '.join(sorted(seen))}" for kind, seen in answers.items())
    if any(len(answers[kind]) > 1 for kind in BROKEN):
        return Attempt.failed(FailureReason.INCONSISTENT, told)
    if all(answers[kind] == {"silence"} for kind in BROKEN):
        return Attempt.failed(FailureReason.TIMED_OUT, f"broken records were answered by nothing: {told}")
    found = told_apart(answers)
    if not found and answers[RIGHT] == answers[_MAC]:
        return Attempt.failed(FailureReason.INCONSISTENT, f"a right record is answered like broken ones: {told}")
    return Attempt.ok(found)


def told_apart(answers: dict[str, set[str]]) -> tuple[str, ...]:
    """The broken records that are answered otherwise than a wrong MAC is: by another alert, or as right ones."""
    return tuple(kind for kind in BROKEN if answers[kind] != answers[_MAC])


async def _answer(
    client: HelloClient, offer: CbcOffer, server_name: str | None, kind: str, content: bytes
) -> str | Failure:
    talk = partial(_broken, offer=offer, server_name=server_name, kind=kind, content=content)
    try:
        return await client.converse(partial(talk, wait_s=client.timeout_s * _PATIENCE))
    except OtherwiseError as error:
        return Failure.of(FailureReason.HANDSHAKE_FAILED, f"no handshake with a CBC suite was completed: {error}")


async def _broken(  # noqa: PLR0913  # what one connection is made of
    stream: TcpStream, *, offer: CbcOffer, server_name: str | None, kind: str, content: bytes, wait_s: float
) -> str:
    """Make a handshake, send one record, and tell how it was answered."""
    buffers = Buffers()
    connection = TLSConnection(buffers)
    records = connection._recordLayer = _TamperingRecords(buffers)  # noqa: SLF001  # the library has no other way
    steps = connection.handshakeClientCert(settings=_settings(offer), serverName=server_name, async_=True)
    await completed(steps, stream, buffers)
    if records.encryptThenMAC:
        text = "the server wants encrypt-then-MAC, which was not offered"
        raise OtherwiseError(text)
    records.broken = kind
    message = Message(ContentType.application_data, bytearray(b"" if kind == _EMPTY else content))
    for _ in records.sendRecord(message):
        pass
    try:
        await stream.send(buffers.taken())
        async with asyncio.timeout(wait_s):
            return await _heard(records, stream, buffers)
    except TimeoutError:
        return "content and then silence" if records.data_seen else "silence"
    except OSError:
        return "a reset"


async def _heard(records: _TamperingRecords, stream: TcpStream, buffers: Buffers) -> str:
    """The alert or the end that comes, and whether there was content before."""
    while True:
        try:
            header, parser = await driven(records.recvRecord(), stream, buffers)
        except OSError:
            raise
        except Exception:  # noqa: BLE001  # as above: an end, or a record that cannot be read
            return records.after_data("the end of the connection")
        if header.type == ContentType.application_data:
            records.data_seen = True
        elif header.type == ContentType.alert and len(parser.bytes) > 1:
            described = parser.bytes[1]
            return records.after_data(f"the alert {AlertDescription.toRepr(described) or described}")


def _settings(offer: CbcOffer) -> Any:
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = WIRE_VERSIONS[offer.protocol]
    settings.versions = [WIRE_VERSIONS[offer.protocol]]
    settings.cipherNames = list(offer.ciphers)
    settings.macNames = ["sha", "sha256", "sha384"]
    settings.keyExchangeNames = list(offer.exchanges)
    settings.minKeySize, settings.maxKeySize = _SMALLEST_KEY, _LARGEST_KEY
    settings.useEncryptThenMAC = False
    settings.use_heartbeat_extension = False
    settings.useExperimentalTackExtension = False
    settings.certificate_compression_receive = []
    return settings


class _TamperingRecords(RecordLayer):  # type: ignore[misc]
    """Breaks what it sends in one way (`broken`), once that is set."""

    def __init__(self, buffers: Buffers) -> None:
        super().__init__(buffers)
        self.broken = RIGHT
        self.data_seen = False

    def after_data(self, text: str) -> str:
        """What was heard, and whether content came before."""
        return f"content and then {text}" if self.data_seen else text

    def calculateMAC(self, *arguments: Any) -> bytearray:  # noqa: N802
        """The MAC, or another one."""
        made = bytearray(super().calculateMAC(*arguments))
        if self.broken in {_MAC, _EMPTY}:
            made[0] ^= 1
        return made

    def addPadding(self, data: bytearray) -> bytearray:  # noqa: N802
        """Padding of more than a block, right or not."""
        if self.broken == RIGHT:
            return bytearray(super().addPadding(data))
        block = self.blockSize
        size = block - 1 - len(data) % block + block
        padding = bytearray([size] * (size + 1))
        if self.broken == _PADDING:
            padding[0] ^= 1
        elif self.broken == _LENGTH:
            padding = bytearray([0xFF] * (size + 1))
        return data + padding


async def reused_keys(client: HelloClient, offers: dict[str, Offer]) -> Attempt[tuple[str, ...]]:
    """Of the key exchanges that are offered, by name, those in which all connections were shown one key."""
    reused: list[str] = []
    for name, offer in offers.items():
        keys: set[bytes] = set()
        for _ in range(_LOOKS):
            answer = await client.ask(offer)
            if isinstance(answer, Failure):
                return Attempt(failure=answer)
            if not isinstance(answer, ServerFlight) or not answer.public:
                return Attempt.failed(FailureReason.INCONSISTENT, f"no key was shown for {name}, which was accepted")
            keys.add(answer.public)
            if len(keys) > 1:
                break
        if len(keys) == 1:
            reused.append(name)
    return Attempt.ok(tuple(reused))


def exchanges_of(suites: Iterable[str], offer: Callable[[list[int]], Offer]) -> dict[str, Offer]:
    """An offer for each kind of ephemeral key exchange among the accepted suites."""
    codes = {item.name: code for code, item in iana.cipher_suites().items()}
    kinds: dict[str, list[int]] = {}
    for name in suites:
        exchange = name.removeprefix("TLS_").partition("_WITH_")[0]
        kind = next((kind for kind in ("ECDHE", "DHE") if exchange.startswith(f"{kind}_")), None)
        if kind is not None and name in codes and "PSK" not in exchange:
            kinds.setdefault(kind, []).append(codes[name])
    return {kind: offer(found) for kind, found in kinds.items()}
