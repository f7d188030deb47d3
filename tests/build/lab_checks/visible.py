"""What a case says that other programs see of its flaw, looked for in what they say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.serialization import Encoding

from scanner.lab import Lab, LabServer
from scanner.lab.case import Case
from tests.build.lab_checks.client import Reply, get, get_plain, handshake


def certificate(lab: Lab, server: LabServer) -> str:
    """What OpenSSL prints of the certificate that a server presents."""
    leaf = handshake(lab, server).leaf.public_bytes(Encoding.PEM)
    command = ["openssl", "x509", "-noout", "-text"]
    return subprocess.run(command, input=leaf, capture_output=True, timeout=30, check=True).stdout.decode()


def printed(reply: Reply) -> str:
    headers = "".join(f"{name}: {value}\n" for name, value in reply.headers)
    return f"{reply.status}\n{headers}\n{reply.body.decode()}"


SEEN: Mapping[str, Callable[[Lab, LabServer], str]] = {
    "certificate": certificate,
    "https": lambda lab, server: printed(get(lab, server)),
    "http": lambda _, server: printed(get_plain(server)),
}


def is_visible(case: Case, lab: Lab) -> None:
    """What the case says is there, and is not there at the good server."""
    server, good = lab.servers[case.name], lab.servers["good"]
    assert case.visible, "a case needs a check, or says what is visible of its flaw"
    for way, pattern in case.visible.items():
        assert re.search(pattern, SEEN[way](lab, server)), pattern
        assert not re.search(pattern, SEEN[way](lab, good)), f"{pattern}: the good server has it too"
