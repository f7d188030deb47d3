"""Checks of what handshakes show: versions, cipher suites, keys, extensions, client certificates."""

from __future__ import annotations

import socket
import ssl

import pytest
from cryptography import x509
from tlslite.constants import SignatureScheme
from tlslite.errors import TLSRemoteAlert

from scanner.lab import Lab, LabServer
from tests.build.lab_checks.client import (
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    ask,
    check,
    client,
    connect,
    get,
    handshake,
    legacy,
    refuses,
)


@check("client-certificate-required", "client-certificate-optional")
def asks_for_client_certificate(lab: Lab, server: LabServer) -> None:
    context = client(lab, verify=True)
    context.load_cert_chain(lab.client_certificate_file, lab.client_key_file)
    with connect(server) as plain, context.wrap_socket(plain, server_hostname=server.host) as secured:
        assert ask(secured, server.host).status == 200
    if server.name == "client-certificate-optional":
        assert get(lab, server).status == 200
    else:
        # Nothing is sent first: a request that meets a closed connection would lose the alert which says why.
        context = client(lab)
        with (
            connect(server) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as secured,
            pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
        ):
            secured.recv(1)


# Protocols, as (TLS 1.0, 1.1, 1.2, 1.3)
@check("no-tls1.3", "tls1.3-only", "legacy-tls", "tls1.0-to-1.3")
def protocols(lab: Lab, server: LabServer) -> None:
    negotiated = tuple(not refuses(lab, server, version, version) for version in (TLS10, TLS11, TLS12, TLS13))
    assert (
        negotiated
        == {
            "no-tls1.3": (False, False, True, False),
            "tls1.3-only": (False, False, False, True),
            "legacy-tls": (True, True, False, False),
            "tls1.0-to-1.3": (True, True, True, True),
        }[server.name]
    )


@check("ssl3")
def speaks_ssl3(_lab: Lab, server: LabServer) -> None:
    connection = legacy(server, versions=((3, 0), (3, 0)))
    assert connection.version == (3, 0)


@check("weak-ciphers", "rc4", "3des")
def accepts_old_ciphers(_lab: Lab, server: LabServer) -> None:
    macs = ["sha", "md5", "aead"]
    if server.name != "3des":
        assert legacy(server, cipherNames=["rc4"], macNames=macs).getCipherName() == "rc4"
    if server.name != "rc4":
        assert legacy(server, cipherNames=["3des"], macNames=macs).getCipherName() == "3des"
    if server.name == "weak-ciphers":
        assert legacy(server, cipherNames=["rc4"], macNames=["md5"]).getCipherName() == "rc4"
        assert legacy(server, versions=((3, 1), (3, 1)), cipherNames=["3des"]).version == (3, 1)
    else:
        assert legacy(server).getCipherName() == "aes256gcm"
        with pytest.raises(TLSRemoteAlert, match=r"handshake_failure|insufficient_security"):
            legacy(server, cipherNames=["3des" if server.name == "rc4" else "rc4"], macNames=macs)


@check("null-ciphers")
def encrypts_nothing(lab: Lab, server: LabServer) -> None:
    assert handshake(lab, server, ciphers="eNULL").cipher == "ECDHE-RSA-NULL-SHA"
    assert handshake(lab, server, ciphers="NULL-MD5").cipher == "NULL-MD5"


@check("anonymous-ciphers")
def is_anonymous(lab: Lab, server: LabServer) -> None:
    seen = handshake(lab, server, ciphers="aNULL")
    assert (seen.cipher, seen.chain) == ("AECDH-AES256-SHA", [])


@check("ssl2")
def speaks_ssl2(_lab: Lab, server: LabServer) -> None:
    # SSL 2.0: CLIENT-HELLO of version 2 with one cipher kind, no session, and a challenge of 16 bytes.
    hello = bytes.fromhex("01 0002 0003 0000 0010 010080") + bytes(16)
    answer = said(server, (0x8000 | len(hello)).to_bytes(2, "big") + hello)
    certificate, ciphers = (int.from_bytes(answer[at : at + 2], "big") for at in (7, 9))
    assert answer[2:7] == bytes.fromhex("04 00 01 0002"), "a SERVER-HELLO with an X.509 certificate, of version 2"
    assert x509.load_der_x509_certificate(answer[13 : 13 + certificate]).subject
    assert answer[13 + certificate : 13 + certificate + ciphers] == bytes.fromhex("010080 020080 0700c0")
    # TLS 1.0, which offers one export suite and nothing else.
    hello = bytes.fromhex("0301") + bytes(33) + bytes.fromhex("0002 0003 01 00")
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    answer = said(server, b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
    assert (answer[:3], answer[5], answer[44:46]) == (b"\x16\x03\x01", 2, b"\x00\x03")


def said(server: LabServer, hello: bytes) -> bytes:
    """What comes back up to the silence that follows."""
    with connect(server) as plain:
        plain.sendall(hello)
        plain.shutdown(socket.SHUT_WR)
        answer = b""
        while data := plain.recv(65_536):
            answer += data
        return answer


@check("no-encrypt-then-mac")
def protects_first(lab: Lab, server: LabServer) -> None:
    cbc = {"cipherNames": ["aes128"], "macNames": ["sha"], "maxVersion": (3, 3)}
    assert not legacy(server, **cbc)._recordLayer.encryptThenMAC
    assert legacy(lab.servers["cbc-sha1"], **cbc)._recordLayer.encryptThenMAC


@check("cbc-sha1", "static-rsa")
def ciphers_are_bad(lab: Lab, server: LabServer) -> None:
    good, bad = {
        "cbc-sha1": ("ECDHE+AESGCM:ECDHE+CHACHA20", "ECDHE-ECDSA-AES256-SHA"),
        "static-rsa": ("ECDHE:DHE", "AES256-GCM-SHA384"),
    }[server.name]
    assert refuses(lab, server, ciphers=good)
    assert handshake(lab, server).cipher == bad


@check("weak-dh")
def dh_is_weak(_lab: Lab, server: LabServer) -> None:
    assert legacy(server, keyExchangeNames=["dhe_rsa"]).dhGroupSize == 1024


@check("composite-dh", "unsafe-dh")
def dh_is_of_no_safe_prime(_lab: Lab, server: LabServer) -> None:
    assert legacy(server, keyExchangeNames=["dhe_rsa"]).dhGroupSize == 2048


@check("weak-curve")
def curve_is_weak(lab: Lab, server: LabServer) -> None:
    assert refuses(lab, server)
    assert handshake(lab, server, TLS12, TLS12, curve="prime192v1").version == "TLSv1.2"


@check("no-ems")
def has_no_extended_master_secret(lab: Lab, server: LabServer) -> None:
    assert not legacy(server).extendedMasterSecret
    assert legacy(lab.servers["no-tls1.3"]).extendedMasterSecret


@check("no-secure-renegotiation")
def has_no_secure_renegotiation(lab: Lab, server: LabServer) -> None:
    with pytest.raises(ssl.SSLError, match="UNSAFE_LEGACY_RENEGOTIATION_DISABLED"):
        handshake(lab, server)


@check("no-fallback-scsv")
def ignores_fallback_scsv(lab: Lab, server: LabServer) -> None:
    fallback = {"versions": ((3, 1), (3, 1)), "sendFallbackSCSV": True}
    assert legacy(server, **fallback).version == (3, 1)
    with pytest.raises(TLSRemoteAlert, match="inappropriate_fallback"):
        legacy(lab.servers["tls1.0-to-1.3"], **fallback)


@check("sha1-handshake")
def handshake_is_signed_with_sha1(_lab: Lab, server: LabServer) -> None:
    assert legacy(server).serverSigAlg == SignatureScheme.rsa_pkcs1_sha1
