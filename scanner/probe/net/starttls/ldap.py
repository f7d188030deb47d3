"""LDAP (RFC 4511)."""

from __future__ import annotations

from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.starttls.replies import (
    Names,
)

# RFC 4511 section 4.14.1: LDAPMessage 1 with an ExtendedRequest for 1.3.6.1.4.1.1466.20037.
_LDAP_OID: Final = b"1.3.6.1.4.1.1466.20037"
_LDAP_REQUEST: Final = (
    bytes([0x30, 7 + len(_LDAP_OID), 0x02, 1, 1, 0x77, 2 + len(_LDAP_OID), 0x80, len(_LDAP_OID)]) + _LDAP_OID
)
_LDAP_EXTENDED_RESPONSE: Final = 0x78
_LDAP_SUCCESS: Final = 0
_LDAP_TRANSIENT: Final = frozenset({51, 52})  # busy, unavailable (RFC 4511 section A.2)
_BER_LONG: Final = 0x80
_BER_SEQUENCE: Final = 0x30
_BER_ENUMERATED: Final = 0x0A


async def _ldap(stream: TcpStream, _names: Names) -> None:
    await stream.send(_LDAP_REQUEST)
    kind, code, words = await _result(stream)
    if kind not in {_LDAP_EXTENDED_RESPONSE, _NOTICE}:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not LDAP's to a request for TLS")
    # Message 0 answers nothing: it is the notice that the server disconnects (RFC 4511 section 4.4.1).
    if kind == _NOTICE or code in _LDAP_TRANSIENT:
        raise PreludeError(FailureReason.UNAVAILABLE, words)
    if code != _LDAP_SUCCESS:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, words)


_NOTICE: Final = -1
"""The kind of a message that answers nothing."""


async def _result(stream: TcpStream) -> tuple[int, int, str]:
    """The kind of an answer, its result code, and both in words.

    Raises:
        PreludeError: it is not LDAP.
    """
    return _read(await _message(stream))


async def _message(stream: TcpStream) -> bytes:
    """The content of the next LDAPMessage.

    Raises:
        PreludeError: it is not LDAP.
    """
    tag, length = await stream.exactly(2)
    if tag != _BER_SEQUENCE:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not an LDAP message")
    if length >= _BER_LONG:
        length = int.from_bytes(await stream.exactly(length - _BER_LONG), "big")
    return await stream.exactly(length)


def _read(message: bytes) -> tuple[int, int, str]:
    """The kind of an LDAPMessage that ends something, its result code, and both in words.

    Raises:
        PreludeError: it is none.
    """
    try:
        _, number, rest = _ber(message)
        kind, response, _ = _ber(rest)
        result, code, rest = _ber(response)
        _, _, rest = _ber(rest)
        _, diagnosis, _ = _ber(rest)
    except IndexError:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not an LDAP message") from None
    if result != _BER_ENUMERATED or len(code) != 1:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not LDAP's to a request for TLS")
    words = f"LDAP result code {code[0]}" + (f": {diagnosis.decode('utf-8', 'replace')}" if diagnosis else "")
    return kind if any(number) or kind != _LDAP_EXTENDED_RESPONSE else _NOTICE, code[0], words


def _ber(data: bytes) -> tuple[int, bytes, bytes]:
    """The tag and the content of a BER element, and what is behind it.

    Raises:
        IndexError: the data ends before it.
    """
    length, start = data[1], 2
    if length >= _BER_LONG:
        start += length - _BER_LONG
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise IndexError
    return data[0], data[start : start + length], data[start + length :]


def _tlv(tag: int, content: bytes) -> bytes:
    """A BER element of up to 64 KiB."""
    length = len(content)
    return bytes([tag, length] if length < _BER_LONG else [tag, 0x82, *length.to_bytes(2, "big")]) + content


def _numbered(operation: bytes) -> bytes:
    return _tlv(_BER_SEQUENCE, b"\x02\x01\x01" + operation)


# RFC 4512 section 5.1: the entry without a name says what names the server answers for (RFC 4511 section 4.5.1: base
# object, dereferencing nothing, one entry, five seconds).
_CONTEXTS: Final = _numbered(
    _tlv(
        0x63,
        b"\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x01\x02\x01\x05\x01\x01\x00"
        + _tlv(0x87, b"objectClass")
        + _tlv(_BER_SEQUENCE, _tlv(4, b"namingContexts")),
    )
)
_ENTRY: Final = 0x64
_LONGEST_NAME: Final = 1_000
_MOST_MESSAGES: Final = 8


async def _context(stream: TcpStream) -> bytes:
    """A name that the server answers for; empty where it tells none.

    What it demands of logins it says of names of its own alone: of any other it says that there is no such thing.
    """
    await stream.send(_CONTEXTS)
    found: list[bytes] = []
    for _ in range(_MOST_MESSAGES):
        message = await _message(stream)
        try:
            _, _, rest = _ber(message)
            kind, content, _ = _ber(rest)
            if kind != _ENTRY:
                break
            _, _, rest = _ber(content)
            _, attributes, _ = _ber(rest)
            _, attribute, _ = _ber(attributes)
            _, _, rest = _ber(attribute)
            _, values, _ = _ber(rest)
            while values:
                _, value, values = _ber(values)
                found.append(value)
        except IndexError:
            continue
    usable = [name for name in found if 0 < len(name) <= _LONGEST_NAME]
    return min(usable, key=lambda name: not name.lower().startswith((b"dc=", b"o=", b"ou=")), default=b"")


def _bind(context: bytes) -> bytes:
    """RFC 4511 section 4.2: a BindRequest of a name that nobody has, with a password that is none."""
    name = b"cn=nightseal" + (b"," + context if context else b"")
    return _numbered(_tlv(0x60, b"\x02\x01\x03" + _tlv(4, name) + _tlv(0x80, b"none")))


_BIND_RESPONSE: Final = 0x61
_TLS_WANTED: Final = frozenset({8, 13})  # strongerAuthRequired, confidentialityRequired (RFC 4511 section A.1)
_TRIED: Final = frozenset({0, 32, 34, 49, 50, 53})


async def _login(stream: TcpStream, _names: Names) -> tuple[PlainLogin, bytes]:
    await stream.send(_bind(await _context(stream)))
    kind, code, words = await _result(stream)
    if kind != _BIND_RESPONSE or not (code in _TLS_WANTED or code in _TRIED):
        raise PreludeError(FailureReason.UNAVAILABLE, words)
    return (PlainLogin.REFUSED if code in _TLS_WANTED else PlainLogin.TAKEN), words.encode()


PRELUDES: Final = {StartTls.LDAP: _ldap}
LOGINS: Final = {StartTls.LDAP: _login}
