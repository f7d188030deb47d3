"""The way to a target: direct, from whichever address is asked for, or through the proxy that carries every probe."""

from __future__ import annotations

from scanner.evidence import Failure
from scanner.inventory import is_address
from scanner.probe import ProbeSettings
from scanner.probe.dns import addresses_of
from scanner.probe.http.messages import ProtocolError
from scanner.probe.http.proxy import Proxy
from scanner.probe.net.connection import PreludeError, TcpStream


async def open_to(settings: ProbeSettings, host: str, port: int) -> TcpStream:
    """Connect to a target. The caller bounds the time.

    Through a proxy `host` is what the proxy is told, a name where the target has no address here: it is resolved there.

    Raises:
        OSError: there is no connection to the target.
        PreludeError: the proxy fails, which tells nothing of the target, or does not connect to it.
    """
    if settings.proxy is None:
        return await TcpStream.open(host, port, settings.source_address)
    proxy = Proxy.parse(settings.proxy)
    try:
        found = (proxy.host,) if is_address(proxy.host) else await addresses_of(proxy.host)
        if isinstance(found, Failure):
            raise _no_proxy(proxy, found)
        stream = await TcpStream.open(found[0], proxy.port, settings.source_address)
    except OSError as error:
        raise _no_proxy(proxy, error) from error
    try:
        await proxy.tunnel(stream, host, port)
    except ProtocolError as error:
        stream.close()
        raise PreludeError(error.failure.reason, error.failure.detail) from error
    except OSError as error:
        stream.close()
        raise _no_proxy(proxy, error) from error
    except BaseException:
        stream.close()
        raise
    return stream


def _no_proxy(proxy: Proxy, why: Failure | OSError) -> PreludeError:
    failure = proxy.unreachable(why)
    return PreludeError(failure.reason, failure.detail)
