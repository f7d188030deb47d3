"""Two questions on one connection: is a session resumed by its id, and does the server renegotiate when clients ask?

A session is forgotten by a server that sees its connection end in a fatal alert, as a refused renegotiation may. So the
first look's connection, whose session it is, is closed in peace, and renegotiation is tried on the one that resumes it.

sslyze has an older OpenSSL for renegotiation alone. The newer one does it as well, where the server's words are beyond
doubt: it went along every time, or said that it does not renegotiate. All else is left to sslyze's own job.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, field
from nassl._nassl import OpenSSLError
from sslyze.plugins.plugin_base import ScanJob
from sslyze.plugins.session_renegotiation_plugin import _ScanJobResultEnum as _Renegotiation
from sslyze.plugins.session_resumption._resumption_with_id import _ScanJobResultEnum as _Resumption
from sslyze.server_connectivity import ServerConnectivityInfo

_SESSION_ID: Final = re.compile(r"Session-ID: ([0-9A-F]+)")
_REFUSED: Final = "no renegotiation"
"""OpenSSL's words for the alert of that name (RFC 5246 section 7.2.2)."""


class _Seen(Struct, frozen=True):
    """What one connection showed. `renegotiates` is None where it does not show beyond doubt."""

    resumed: bool
    renegotiates: bool | None


class ResumedConnection(Struct):
    """A session of before TLS 1.3, and the one connection that resumes it.

    `instead` is sslyze's own job for renegotiation, `times` how often it is asked for in a row.
    """

    server: ServerConnectivityInfo
    session: Any
    instead: ScanJob
    times: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: _Seen | None = None

    def resumption(self) -> tuple[_Resumption, bool]:
        """What sslyze's job for session ids returns. No id is given where there are only tickets, or nothing."""
        return _Resumption.SESSION_ID_RESUMPTION, bool(_identifier(self.session)) and self._once().resumed

    def renegotiation(self) -> Any:
        """What sslyze's job for renegotiation by clients returns."""
        told = self._once().renegotiates if _identifier(self.session) else None
        if told is None:
            function: Callable[..., Any] = self.instead.function_to_call
            return function(*self.instead.function_arguments)
        return _Renegotiation.CLIENT_RENEG_RESULT, (told, self.times if told else 0)

    def _once(self) -> _Seen:
        """Make the connection, or take what it showed to whoever asked before. One that fails is made again."""
        with self._lock:
            if self._seen is None:
                self._seen = self._made()
            return self._seen

    def _made(self) -> _Seen:
        version = self.server.tls_probing_result.highest_tls_version_supported
        connection = self.server.get_preconfigured_tls_connection(
            override_tls_version=version, should_use_legacy_openssl=False
        )
        client: Any = connection.ssl_client
        client.disable_stateless_session_resumption()  # or the server would look at the ticket, and not at the id
        client.set_session(self.session)
        try:
            connection.connect()
            resumed = _identifier(client.get_session()) == _identifier(self.session)
            return _Seen(resumed, self._renegotiates(client))
        finally:
            connection.close()

    def _renegotiates(self, client: Any) -> bool | None:
        try:
            for _ in range(self.times):
                client._ssl.renegotiate()  # noqa: SLF001  # only the class for the older OpenSSL has a method for it
                client.do_handshake()
        except OpenSSLError as error:
            return False if _REFUSED in str(error) else None
        except Exception:  # noqa: BLE001  # sslyze's own job has an answer for each way to break off
            return None
        return True


def _identifier(session: Any) -> str:
    """The id of a session, as OpenSSL writes it; empty where the server gave none."""
    found = _SESSION_ID.search(session.as_text())
    return found[1] if found is not None else ""
