"""The record layer of the tlslite servers, with the flaws that old implementations had in theirs.

Each is what the flaw looked like from outside, and no more: nothing of this process's memory ever leaves it.
"""

from __future__ import annotations

import copy
import zlib
from typing import TYPE_CHECKING, Any, Final

from tlslite.constants import AlertDescription, AlertLevel, ContentType  # type: ignore[import-untyped]
from tlslite.errors import (  # type: ignore[import-untyped]
    TLSAbruptCloseError,
    TLSBadRecordMAC,
    TLSDecryptionFailed,
)
from tlslite.messages import Alert, Message  # type: ignore[import-untyped]
from tlslite.recordlayer import RecordLayer  # type: ignore[import-untyped]
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from scanner.lab.case import Vulnerability

_HEARTBEAT_REQUEST: Final = 1
_HEARTBEAT_RESPONSE: Final = 2
_HEARTBEAT_HEAD: Final = 3
_RECORD_LIMIT: Final = 16_384


class FlawedRecordLayer(RecordLayer):  # type: ignore[misc]
    """Compresses records where that was agreed upon (RFC 3749), and falls for early messages where it is to."""

    def __init__(self, plain: socket.socket, vulnerability: Vulnerability | None) -> None:
        super().__init__(plain)
        self.compression_agreed = False
        self._vulnerability = vulnerability
        self._deflate: Any = None
        self._inflate: Any = None
        self._early_change = False

    def _decryptThenMAC(self, recordType: int, data: Any) -> Any:  # noqa: N802, N803  # the library's own names
        """Decrypt a record in CBC, and make of wrong padding what the flaw is."""
        if self._vulnerability not in {"padding-oracle", "padding-unchecked"} or not self._readState.encContext:
            return super()._decryptThenMAC(recordType, data)
        ahead = bytes(copy.deepcopy(self._readState.encContext).decrypt(bytearray(data)))
        size = ahead[-1] + 1
        if size <= len(ahead) and ahead[-size:] == bytes([size - 1]) * size:
            return super()._decryptThenMAC(recordType, data)
        if self._vulnerability == "padding-oracle":
            # Vaudenay: an alert of its own for wrong padding.
            raise TLSDecryptionFailed
        # POODLE over TLS: the last byte alone is believed, and what stands before it is not looked at.
        content = ahead[self._readState.encContext.block_size :]
        end = len(content) - size - self._readState.macContext.digest_size
        if end < 0:
            raise TLSBadRecordMAC
        self._readState.encContext.decrypt(bytearray(data))
        mac = self._readState.macContext.copy()
        made = self.calculateMAC(mac, self._readState.getSeqNumBytes(), recordType, bytearray(content[:end]))
        if bytes(made) != content[end : len(content) - size]:
            raise TLSBadRecordMAC
        return bytearray(content[:end])

    def changeWriteState(self) -> None:  # noqa: N802
        """Begin to compress with the new keys."""
        super().changeWriteState()
        self._deflate = zlib.compressobj() if self.compression_agreed else None

    def changeReadState(self) -> None:  # noqa: N802
        """Begin to decompress with the new keys."""
        super().changeReadState()
        self._inflate = zlib.decompressobj() if self.compression_agreed else None

    def sendRecord(self, msg: Any) -> Iterator[Any]:  # noqa: N802
        """Send a message, compressed where that was agreed upon."""
        if self._deflate is not None:
            data = self._deflate.compress(bytes(msg.write())) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            msg = Message(msg.contentType, bytearray(data))
        yield from super().sendRecord(msg)

    def recvRecord(self) -> Iterator[Any]:  # noqa: N802
        """Receive a record, decompressed; early messages may be answered on the way."""
        while True:
            for result in super().recvRecord():
                if result in (0, 1):
                    yield result
                    continue
                header, parser = result
                if self._inflate is not None:
                    parser = Parser(bytearray(self._inflate.decompress(bytes(parser.bytes))))
                if not self._readState.encContext and (reply := self._fall_for(header.type, bytes(parser.bytes))):
                    yield from self.sendRecord(reply)
                    if reply.contentType == ContentType.alert:
                        raise TLSAbruptCloseError
                    break
                if self._early_change:
                    break
                yield header, parser
                return

    def _fall_for(self, content_type: int, data: bytes) -> Any:
        """Answer a message before encryption as a vulnerable server would; nothing where it would not."""
        if (
            self._vulnerability == "heartbleed"
            and content_type == ContentType.heartbeat
            and len(data) >= _HEARTBEAT_HEAD
            and data[0] == _HEARTBEAT_REQUEST
        ):
            # CVE-2014-0160: as much is sent back as was claimed, not as was sent. What was memory is zeros here.
            claimed = min(int.from_bytes(data[1:_HEARTBEAT_HEAD], "big"), _RECORD_LIMIT - _HEARTBEAT_HEAD)
            leak = data[_HEARTBEAT_HEAD:][:claimed].ljust(claimed, b"\x00")
            return Message(ContentType.heartbeat, bytearray([_HEARTBEAT_RESPONSE]) + claimed.to_bytes(2, "big") + leak)
        if self._vulnerability == "ccs-injection":
            # CVE-2014-0224: a ChangeCipherSpec is obeyed although no keys are agreed upon, so what follows is taken to
            # be encrypted, and cannot be decrypted.
            if self._early_change:
                return Alert().create(AlertDescription.bad_record_mac, AlertLevel.fatal)
            self._early_change = (
                content_type == ContentType.change_cipher_spec and not self._pendingReadState.encContext
            )
        return None
