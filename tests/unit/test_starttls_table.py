"""The table of protocols: a row is enough for everything but the speaking, and no two rows are in each other's way."""

from __future__ import annotations

import copy
from collections import Counter

import pytest

from scanner.app.adhoc import SCHEMES
from scanner.inventories.source import KNOWN_PORTS
from scanner.lab.cases import CASES
from scanner.lab.starttls import SCRIPTS
from scanner.probe import TLS_AT_ONCE_PORTS
from scanner.probe.net.starttls import PRELUDES
from scanner.starttls import StartTls


@pytest.mark.parametrize("protocol", list(StartTls))
def test_a_row_is_known_everywhere(protocol: StartTls) -> None:
    assert StartTls(protocol.value) is copy.copy(protocol) is protocol
    assert protocol in PRELUDES, f"nothing in scanner/probe/net/starttls speaks {protocol}"
    assert SCRIPTS[protocol].kind, f"the lab has no server of {protocol}"
    (port,) = (case.port for case in CASES if case.name == f"{protocol}-starttls")
    assert SCHEMES[protocol.value].port == port
    assert all(SCHEMES[scheme].starttls is protocol for scheme in protocol.spoken.schemes)
    assert all(SCHEMES[scheme].starttls is None for scheme in protocol.spoken.tls_schemes)
    assert all(KNOWN_PORTS[port].starttls is protocol for port in protocol.ports)
    assert all(KNOWN_PORTS[port].starttls is None for port in protocol.tls_ports)
    assert protocol.tls_ports <= TLS_AT_ONCE_PORTS


def test_no_two_rows_claim_the_same() -> None:
    ports = Counter(port for protocol in StartTls for port in (*protocol.ports, *protocol.tls_ports))
    names = Counter(
        name
        for protocol in StartTls
        for name in (*protocol.spoken.schemes, *protocol.spoken.tls_schemes, *protocol.spoken.called)
    )
    assert set(ports.values()) == set(names.values()) == {1}
