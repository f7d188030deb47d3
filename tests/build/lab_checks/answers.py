"""Checks of what is answered over HTTP and HTTPS."""

from __future__ import annotations

import http.client
import json
import socket

from scanner.lab import Lab, LabServer
from scanner.lab.cases.applications import REST_PATH, SOAP_PATH
from tests.build.lab_checks.client import (
    Reply,
    ask,
    check,
    client,
    connect,
    connect_plain,
    connection_refused,
    get,
    get_plain,
)


@check("no-redirect")
def serves_page_in_plain(_lab: Lab, server: LabServer) -> None:
    assert (get_plain(server).status, get_plain(server).all("Location")) == (200, [])


@check("no-plain-http")
def has_no_plain_http(lab: Lab, server: LabServer) -> None:
    assert connection_refused(server.address, server.actual_http_port)
    assert get(lab, server).status == 200


@check("temporary-redirect", "redirect-other-host-first", "hsts-over-http")
def redirects(_lab: Lab, server: LabServer) -> None:
    reply = get_plain(server, "/page")
    assert (reply.status, reply.one("Location")) == {
        "temporary-redirect": (302, f"https://{server.host}/page"),
        "redirect-other-host-first": (301, "https://good.lab.example/page"),
        "hsts-over-http": (301, f"https://{server.host}/page"),
    }[server.name]
    assert bool(reply.all("Strict-Transport-Security")) == (server.name == "hsts-over-http")


@check("redirect-through-http", "redirect-loop")
def redirects_in_plain(_lab: Lab, server: LabServer) -> None:
    location, hops = f"http://{server.host}/", []
    while location.startswith("http://") and len(hops) < 4:
        location = get_plain(server, location.removeprefix(f"http://{server.host}")).one("Location")
        hops.append(location)
    end = {"redirect-through-http": ["/welcome", "https://"], "redirect-loop": ["/a", "/b", "/a", "/b"]}[server.name]
    assert [expected in hop for expected, hop in zip(end, hops, strict=True)] == [True] * len(end)


@check("https-redirect-loop", "downgrade-redirect")
def redirects_over_https(lab: Lab, server: LabServer) -> None:
    location = get(lab, server).one("Location")
    if server.name == "downgrade-redirect":
        assert location == f"http://{server.host}/plain"
        assert get_plain(server, "/plain").status == 200
    else:
        assert location == f"https://{server.host}/"


@check("no-hsts", "short-hsts", "hsts-without-subdomains", "hsts-invalid", "hsts-switched-off")
def hsts_is_flawed(lab: Lab, server: LabServer) -> None:
    assert (
        get(lab, server).all("Strict-Transport-Security")
        == {
            "no-hsts": [],
            "short-hsts": ["max-age=86400; includeSubDomains"],
            "hsts-without-subdomains": ["max-age=63072000"],
            "hsts-invalid": ["max-age=63072000; includeSubDomains; max-age=0"],
            "hsts-switched-off": ["max-age=0"],
        }[server.name]
    )


def call(channel: socket.socket, host: str, method: str, path: str) -> Reply:
    channel.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    response = http.client.HTTPResponse(channel, method=method)
    response.begin()
    return Reply(response.status, response.getheaders(), response.read())


@check("redirect-on-root-only", "console-in-plain", "meta-refresh", "script-redirect")
def pages_are_served_in_plain(lab: Lab, server: LabServer) -> None:
    assert get(lab, server).all("Strict-Transport-Security")
    first, other = get_plain(server), get_plain(server, "/app")
    assert other.status == 200
    if server.name == "redirect-on-root-only":
        assert (first.status, first.one("Location")) == (301, f"https://{server.host}/")
    else:
        told = {
            "console-in-plain": "type=password",
            "meta-refresh": f'http-equiv=refresh content="0; url=https://{server.host}/"',
            "script-redirect": "<script>location.protocol = 'https:'</script>",
        }
        assert first.status == 200
        assert told[server.name] in first.body.decode()


@check("api-redirected", "api-refused", "api-in-plain", "api-closed", "mobile-in-plain")
def services_answer(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain, client(lab).wrap_socket(plain, server_hostname=server.host) as secured:
        assert call(secured, server.host, "POST", SOAP_PATH).status == 500
        listed = call(secured, server.host, "GET", REST_PATH)
        assert (listed.status, json.loads(listed.body)) == (200, {"orders": []})
    if server.name == "api-closed":
        assert connection_refused(server.address, server.actual_http_port)
        return
    with connect_plain(server) as plain:
        soap = call(plain, server.host, "POST", SOAP_PATH)
        rest = call(plain, server.host, "GET", REST_PATH)
        options = call(plain, server.host, "OPTIONS", REST_PATH)
    expected = {"api-redirected": [301] * 3, "api-refused": [403] * 3, "api-in-plain": [500, 200, 200]}
    expected["mobile-in-plain"] = [301, 200, 200]
    assert [soap.status, rest.status, options.status] == expected[server.name]
    assert (b"soap:Fault" in soap.body) is (server.name == "api-in-plain")
    assert get_plain(server).one("Location") == f"https://{server.host}/"


@check("hsts-on-redirect-only")
def hsts_comes_with_the_redirect_alone(lab: Lab, server: LabServer) -> None:
    redirect, home = get(lab, server), get(lab, server, "/home")
    assert redirect.one("Location") == f"https://{server.host}/home"
    assert redirect.all("Strict-Transport-Security")
    assert not home.all("Strict-Transport-Security")


@check("hsts-on-one-node")
def hsts_comes_from_one_node(lab: Lab, server: LabServer) -> None:
    sent = []
    for entry in lab.connect_to[f"{server.host}:{server.port}"]:
        address, _, port = entry.rpartition(":")
        with (
            socket.create_connection((address, int(port)), timeout=30) as plain,
            client(lab).wrap_socket(plain, server_hostname=server.host) as secured,
        ):
            sent.append(bool(ask(secured, server.host).all("Strict-Transport-Security")))
    assert sent == [True, False]


@check("hostile-headers", "malformed-headers")
def headers_are_hostile(lab: Lab, server: LabServer) -> None:
    reply, plain = get(lab, server), get_plain(server)
    if server.name == "hostile-headers":
        assert "<script>" in reply.one("Server")
        assert len(reply.one("X-Powered-By")) == 8192
        assert "<script>" in plain.one("Location")
    else:
        assert reply.one("X-Escape") == "\x1b[31mred\x00"
        assert "\x1b[31m" in plain.one("Location")
