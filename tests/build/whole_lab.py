"""The whole lab in one configuration."""

from __future__ import annotations

from typing import Final

from scanner.lab import Lab
from scanner.lab.cases import CASES

SECONDS: Final = 400.0
"""For the whole lab, of which some servers are silent, on a machine that does other things besides."""
_MADE: Final = {case.name: case for case in CASES}


def configuration(lab: Lab) -> str:
    """Every server of one environment, as its owners see it, with times that keep the slow ones short."""
    # Few at once: the servers share this machine's processors with the scanner. All of them share one address, too,
    # whose connections are therefore not what limits them.
    lines = [
        '[scan]\nconcurrency = 6\nconnections_per_target = 30\ndeadline = "30s"\ntimeout = "5s"\nfetch_from = ["pki.lab.example"]\n[[environment]]\nname = "lab"\nkind = "on-premises"'
    ]
    identity = f'client_certificate = {{ cert = "{lab.client_certificate_file}", key = "{lab.client_key_file}" }}'
    for server in lab.servers.values():
        place = [f'host = "{server.host}"', f"port = {server.port}"]
        made = _MADE[server.name]
        if settings := made.application:
            lines += ["[[environment.application]]", f'name = "{server.name}"', *place, settings]
            lines += [identity] if "client" in settings else []
            continue
        role = "server" if server.starttls else made.role
        lines += ["[[environment.endpoint]]", *place, f'role = "{role}"']
        if server.starttls:
            lines.append(f'starttls = "{server.starttls}"')
    return "\n".join(lines)
