"""What other scanners wrote: nmap's XML, lines of masscan, naabu and tlsx, results of sslyze and testssl.sh."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from scanner.inventories.json_text import json_lines, json_of
from scanner.inventories.source import (
    Contents,
    KnownService,
    Options,
    add_name,
    add_open_port,
    endpoint,
    refused,
)
from scanner.inventory import Role, StartTls

_STARTTLS: Final[Mapping[str, StartTls]] = {
    name: protocol for protocol in StartTls for name in (*protocol.spoken.schemes, *protocol.spoken.called)
}
"""Names of services in nmap's, sslyze's and testssl.sh's words."""


def read_nmap(name: str, data: bytes, options: Options) -> Contents:
    """Read nmap's XML (`-oX`): the open ports at which TLS may be spoken.

    Raises:
        ConfigError: it is not XML, or defines entities, which nmap never does.
    """
    contents = Contents(name)
    known = False
    try:
        for _, element in iterparse(io.BytesIO(data), events=("end",)):
            if element.tag == "host":
                known = True
                _nmap_host(element, contents, options)
                element.clear()
            known = known or element.tag == "nmaprun"
    except DefusedXmlException as error:
        line = data[: max(data.find(b"<!ENTITY"), 0)].count(b"\n") + 1
        raise refused(name, "defines entities, which nmap never does", line) from error
    except ParseError as error:
        raise refused(name, f"is not XML: {error}", error.position[0]) from error
    except (LookupError, ValueError) as error:  # an encoding that is none
        raise refused(name, f"is not XML: {error}", 1) from error
    if not known:
        raise refused(name, "is XML, but not nmap's", 1, "write it by nmap -oX")
    return contents.once()


def _nmap_host(host: Element, contents: Contents, options: Options) -> None:
    names = [item.get("name", "") for item in host.iterfind("hostnames/hostname") if item.get("type") == "user"]
    names += [item.get("addr", "") for item in host.iterfind("address") if item.get("addrtype") in {"ipv4", "ipv6"}]
    reverse = [item.get("name", "") for item in host.iterfind("hostnames/hostname") if item.get("type") != "user"]
    called = next((text for text in names if text), None)
    before = len(contents.rows)
    if called is None:
        contents.leave_out("host", "without a name or address", "?")
        return
    for port in host.iterfind("ports/port"):
        state, service = port.find("state"), port.find("service")
        number = str(port.get("portid", ""))
        if state is None or state.get("state") != "open" or not number.isdecimal():
            continue
        if port.get("protocol") != "tcp":
            contents.leave_out("port", "other than TCP", f"{called}:{number}/{port.get('protocol')}")
            continue
        speaks = service.get("name", "") if service is not None else ""
        tls = (service is not None and service.get("tunnel") == "ssl") or speaks in {"https", "https-alt", "ssl"}
        if speaks in _STARTTLS and not tls:
            contents.add(endpoint(called, int(number), KnownService(Role.SERVER, _STARTTLS[speaks])))
        else:
            add_open_port(contents, called, int(number), options, tls=tls)
    if called not in names[:-1] and reverse and len(contents.rows) > before:
        # Whoever holds an address says its reverse name, and several may have the same.
        contents.leave_out("reverse name", "in place of a scanned address", f"{reverse[0]} of {called}")


def read_port_lines(name: str, data: bytes, options: Options) -> Contents:
    """Read JSON lines of masscan (`-oJ` or `-oD`), naabu (`-json`) and tlsx (`-json`).

    Raises:
        ConfigError: a line is not JSON, or none has a host and a port.
    """
    contents = Contents(name)
    for line, item in json_lines(name, data):
        if not isinstance(item, dict):
            raise refused(name, "is not an object of JSON", line)
        host = item.get("host") or item.get("ip")
        listed = item.get("ports")
        ports = listed if isinstance(listed, list) else [item]
        if not isinstance(host, str):
            raise refused(name, "names no host or ip", line, "masscan, naabu and tlsx write these")
        for port in map(_naabu_port, ports):
            number = _port(port.get("port"))
            if number is None:
                raise refused(name, "names no port", line)
            if port.get("status", "open") != "open":
                contents.leave_out("port", "that is not open", f"{host}:{number}")
                continue
            if item.get("probe_status") is False:
                contents.leave_out("port", "at which tlsx got no answer", f"{host}:{number}")
                continue
            if port.get("proto", port.get("protocol", "tcp")) not in {"tcp", 0, "TCP", 6}:
                contents.leave_out("port", "other than TCP", f"{host}:{number}")
                continue
            # tlsx lists only what speaks TLS.
            tls = bool(
                item.get("tls") or item.get("tls_version") or item.get("subject_cn") or item.get("tls-connection")
            )
            add_open_port(contents, host, number, options, tls=tls)
    return contents.once()


def _naabu_port(port: Any) -> Mapping[str, Any]:
    """What says a port; naabu 2.1 and before wrote it as an object, with names of Go."""
    found: Mapping[str, Any] = port if isinstance(port, dict) else {}
    inner = found.get("port")
    return {str(key).casefold(): value for key, value in inner.items()} if isinstance(inner, dict) else found


def _port(value: Any) -> int | None:
    if isinstance(value, bool) or not str(value).isdecimal():
        return None
    number = int(value)
    return number if 0 < number <= 65535 else None  # noqa: PLR2004  # the range of ports


def read_sslyze(name: str, data: bytes, options: Options) -> Contents:  # noqa: ARG001  # as all readers
    """Read the JSON of `sslyze --json_out`.

    Raises:
        ConfigError: it is not that.
    """
    contents = Contents(name)
    found = _list(name, json_of(name, data), "server_scan_results", "sslyze --json_out writes it")
    for number, item in enumerate(found, 1):
        location, network = (
            said if isinstance(said := item.get(key), dict) else {}
            for key in ("server_location", "network_configuration")
        )
        host, port = location.get("hostname"), _port(location.get("port"))
        if not isinstance(host, str) or port is None:
            raise refused(name, "has no hostname and port", part=f"element {number} of server_scan_results")
        if item.get("scan_status") == "ERROR_NO_CONNECTIVITY":
            contents.leave_out("server", "to which sslyze could not connect", f"{host}:{port}")
            continue
        said = str(network.get("tls_opportunistic_encryption") or "").casefold()
        service = KnownService(Role.SERVER, _STARTTLS[said]) if said in _STARTTLS else None
        contents.part = f"element {number} of server_scan_results"
        contents.add(endpoint(host, port, service))
    return contents.once()


def read_testssl(name: str, data: bytes, options: Options) -> Contents:  # noqa: ARG001  # the same
    """Read testssl.sh's JSON, flat (`--jsonfile`) or pretty (`--jsonfile-pretty`).

    Raises:
        ConfigError: it is not that.
    """
    contents = Contents(name)
    for part, host, port, service in _testssl_places(name, json_of(name, data)):
        if not host or port in {None, ""}:
            continue  # what is about the scan itself has neither
        number = _port(port)
        if number is None:
            raise refused(name, f'has the port "{port}", which must be a number from 1 to 65535', part=part)
        known = KnownService(Role.SERVER, _STARTTLS[service]) if service in _STARTTLS else None
        contents.part = part
        contents.add(endpoint(host, number, known))
    return contents.once()


def _testssl_places(name: str, found: Any) -> Iterator[tuple[str, str, Any, str]]:
    """Each element in words, with the host or else the address, the port, and the service that it names."""
    if isinstance(found, dict):
        for number, item in enumerate(_list(name, found, "scanResult", "testssl.sh --jsonfile-pretty writes it"), 1):
            service = str(item.get("service", "")).casefold()
            host = str(item.get("targetHost") or item.get("ip") or "")
            yield f"element {number} of scanResult", host, item.get("port"), service
        return
    hint = "by --jsonfile or --jsonfile-pretty"
    if not isinstance(found, list):
        raise refused(name, "is not what testssl.sh writes", hint=hint)
    for number, item in enumerate(found, 1):
        part = f"element {number}"
        if not isinstance(item, dict) or "id" not in item:
            what = 'has no "id"' if isinstance(item, dict) else "is not an object"
            raise refused(name, f"{what}, so it is not what testssl.sh writes", hint=hint, part=part)
        host, _, address = str(item.get("ip", "")).partition("/")
        yield part, host or address, item.get("port"), ""


def read_crt_sh(name: str, data: bytes, options: Options) -> Contents:  # noqa: ARG001  # the same
    """Read the JSON of a search in certificate transparency logs, as crt.sh gives it.

    Raises:
        ConfigError: it is not that.
    """
    contents = Contents(name)
    found = json_of(name, data)
    hint = "save …&output=json of crt.sh"
    if not isinstance(found, list):
        raise refused(name, "is not a search in certificate transparency logs", hint=hint)
    for number, item in enumerate(found, 1):
        if not isinstance(item, dict) or "name_value" not in item:
            raise refused(name, "has no name_value", hint=hint, part=f"element {number}")
    for number, item in enumerate(found, 1):
        contents.part = f"element {number}"
        names = [*str(item["name_value"]).split("\n"), str(item.get("common_name") or "")]
        for text in filter(None, dict.fromkeys(names)):
            if "@" in text:
                contents.leave_out(("mail address", "mail addresses"), "", text)
            else:
                add_name(contents, text)
    return contents.once()


def _list(name: str, found: Any, key: str, hint: str) -> list[dict[str, Any]]:
    items = found.get(key) if isinstance(found, dict) else None
    if not isinstance(items, list):
        raise refused(name, f'has no list "{key}"', hint=hint)
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise refused(name, "is not an object", hint=hint, part=f"element {number} of {key}")
    return items
