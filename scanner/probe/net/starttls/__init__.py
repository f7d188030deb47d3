"""The plain-text preludes after which a connection is upgraded to TLS, for every protocol of `StartTls`.

Each speaks only as much as is needed to get there, reads bounded answers, and fails with `PreludeError`, whose failure
says what the server did instead: `starttls-refused` where it answered the request for TLS by a no, `unavailable` where
it turned the client away before, or only for now.

A protocol is a module beside this one, found by being there: its `PRELUDES` lead to TLS, its `LOGINS`, where it has
any, begin a login without TLS, take it back, and tell what the server said; its `AHEAD`, where it has lines, is what is
sent ahead of TLS to see whether it is forgotten. All else about it stands in its row of `scanner/starttls.py`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.starttls.replies import Ahead, Names, address_literal

__all__ = ["AHEAD", "LOGINS", "Names", "address_literal", "upgrade"]

Prelude = Callable[[TcpStream, Names], Awaitable[TcpStream | None]]
Login = Callable[[TcpStream, Names], Awaitable[tuple[PlainLogin, bytes]]]

_MODULES: Final = tuple(
    import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__) if item.name != "replies"
)
PRELUDES: Final[Mapping[StartTls, Prelude]] = {
    protocol: prelude for module in _MODULES for protocol, prelude in module.PRELUDES.items()
}
LOGINS: Final[Mapping[StartTls, Login]] = {
    protocol: login for module in _MODULES for protocol, login in getattr(module, "LOGINS", {}).items()
}
AHEAD: Final[Mapping[StartTls, Ahead]] = {
    protocol: ahead for module in _MODULES for protocol, ahead in getattr(module, "AHEAD", {}).items()
}


async def upgrade(stream: TcpStream, protocol: StartTls, names: Names) -> TcpStream:
    """Bring a fresh connection to the point at which a ClientHello is expected, and return what it goes over.

    Raises:
        PreludeError: the server refuses, is not available now, speaks something else, or says more than is reasonable.
        OSError: the connection broke.
    """
    return await PRELUDES[protocol](stream, names) or stream
