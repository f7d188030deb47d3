"""Checks of servers whose connections are upgraded to TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl

import sslyze

from scanner.lab import Lab, LabServer
from scanner.lab.starttls import SCRIPTS
from scanner.starttls import StartTls
from tests.build.lab_checks.client import (
    CHECKS,
    check,
    client,
    connect,
    scan,
    upgrade_smtp,
)


@check("smtp-starttls")
def smtp_can_be_upgraded(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        upgrade_smtp(plain)
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            secured.sendall(b"EHLO client.example\r\n")
            assert b"STARTTLS" not in secured.recv(200)
            secured.sendall(b"QUIT\r\n")
            assert secured.recv(200).startswith(b"221 ")
    can_be_upgraded(lab, server)


@check(
    "imap-starttls",
    "pop3-starttls",
    "ftp-starttls",
    "ldap-starttls",
    "xmpp-starttls",
    "xmpp-server-starttls",
    "postgres-starttls",
    "rdp-starttls",
)
def can_be_upgraded(_lab: Lab, server: LabServer) -> None:
    result = scan(server, sslyze.ScanCommand.TLS_1_3_CIPHER_SUITES)
    assert result.tls_1_3_cipher_suites.result.accepted_cipher_suites
    assert server.http_port is None


@check("mysql-starttls")
def mysql_can_be_upgraded(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        assert plain.recv(1000)[4] == 10
        plain.sendall(b"\x20\x00\x00\x01\x00\x8a\x08\x00\x00\x00\x00\x01\x21" + bytes(23))
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert secured.version() == "TLSv1.3"


@check("mssql-starttls")
def tds_carries_the_handshake(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.sendall(bytes.fromhex("1201001a0000010000000b00060100110001ff00000000000001"))
        assert plain.recv(1000)[-1] == 1
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client(lab, verify=True).wrap_bio(incoming, outgoing, server_hostname=server.host)
        for _ in range(10):
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
            data = outgoing.read()
            plain.sendall(b"\x12\x01" + (len(data) + 8).to_bytes(2) + bytes(4) + data)
            head = plain.recv(8, socket.MSG_WAITALL)
            incoming.write(plain.recv(int.from_bytes(head[2:4]) - 8, socket.MSG_WAITALL))
        assert tls.version() == "TLSv1.3"
    # A hello that cannot be read is answered by an alert and the end of the connection, never by silence.
    with connect(server) as plain:
        plain.sendall(bytes.fromhex("1201001a0000010000000b00060100110001ff00000000000001"))
        assert plain.recv(1000)[-1] == 1
        empty_hello = bytes.fromhex("160301000401000000")
        plain.sendall(b"\x12\x01" + (len(empty_hello) + 8).to_bytes(2) + bytes(4) + empty_hello)
        assert plain.recv(8, socket.MSG_WAITALL)[0] == 4
        assert plain.recv(7, socket.MSG_WAITALL)[0] == 21
        assert plain.recv(1) == b""


@check("smtp-careless")
def smtp_forgets_nothing(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.recv(100)
        plain.sendall(b"AUTH PLAIN\r\n")
        assert plain.recv(100).startswith(b"334")
        plain.sendall(b"STARTTLS\r\nNOOP\r\n")
        assert plain.recv(100).startswith(b"220 ")
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert secured.recv(100).startswith(b"250 ")


@check("smtp-no-starttls")
def smtp_cannot_be_upgraded(_lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.recv(100)
        plain.sendall(b"EHLO client.example\r\n")
        assert b"STARTTLS" not in plain.recv(200)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(100).startswith(b"502 ")


def lines_lead_to_tls(lab: Lab, server: LabServer) -> None:
    assert server.starttls is not None
    with connect(server) as plain:
        plain.recv(1000)
        for line in SCRIPTS[server.starttls].asked:
            plain.sendall(line)
            plain.recv(1000)
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert secured.version() == "TLSv1.3"


# Of a protocol that nobody else speaks, the script says what a client says.
for _protocol in StartTls:
    CHECKS.setdefault(f"{_protocol}-starttls", lines_lead_to_tls)
