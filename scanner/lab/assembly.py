"""Makes the servers of a list of cases, and the manifest that tells where they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import structs

from scanner.lab import external
from scanner.lab.case import CannotServeError, Nginx, Node, Raw
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.lab.ct_log import log_list
from scanner.lab.manifest import LabServer, Manifest
from scanner.lab.publications import PKI_HOST, PublicationServer
from scanner.lab.serving import Servers, plain_handler, tls_handler, upgrading_handler

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack
    from pathlib import Path

    from scanner.lab.case import Case


def assemble(cases: Iterable[Case], directory: Path, cleanup: ExitStack) -> tuple[Servers, Manifest]:
    """Make everything listen. What runs outside this process is ended by `cleanup`."""
    authority = CertificateAuthority(datetime.now(UTC).replace(microsecond=0))
    ca_pem = authority.root.chain_pem
    ca_file = directory / "ca.pem"
    ca_file.write_bytes(ca_pem)
    ct_logs_file = directory / "ct-logs.json"
    ct_logs_file.write_bytes(log_list(authority.logs, datetime.now(UTC)))
    client = authority.issue(CertificateRecipe(usage="client"), "client.lab.example")
    client_file, client_key_file = directory / "client.pem", directory / "client.key"
    client_file.write_bytes(client.chain_pem)
    client_key_file.touch(mode=0o600)
    client_key_file.write_bytes(client.key_pem)

    servers = Servers()
    described: list[LabServer] = []
    connect_to: dict[str, list[str]] = {}
    skipped: dict[str, str] = {}
    for case in cases:
        try:
            ports = _listen(case, servers, authority, directory, cleanup)
        except CannotServeError as error:
            skipped[case.name] = str(error)
            continue
        for address, port, http_port in ports:
            shown = f"[{address}]" if ":" in address else address
            connect_to.setdefault(f"{case.host}:{case.port}", []).append(f"{shown}:{port}")
            if case.http_port is not None:
                connect_to.setdefault(f"{case.host}:{case.http_port}", []).append(f"{shown}:{http_port}")
        address, port, http_port = ports[0]
        described.append(
            LabServer(
                name=case.name,
                host=case.host,
                port=case.port,
                http_port=case.http_port,
                address=address,
                actual_port=port,
                actual_http_port=http_port if case.http_port is not None else None,
                starttls=case.starttls,
                description=case.description,
                expected=dict(case.expected),
                status=case.status,
            )
        )
    port = servers.listen("127.0.0.1", PublicationServer(authority.published).handle)
    connect_to[f"{PKI_HOST}:80"] = [f"127.0.0.1:{port}"]
    manifest = Manifest(
        ca_file=str(ca_file),
        ct_logs_file=str(ct_logs_file),
        client_certificate_file=str(client_file),
        client_key_file=str(client_key_file),
        servers=tuple(described),
        connect_to=connect_to,
        skipped=skipped,
    )
    return servers, manifest


def _listen(
    case: Case, servers: Servers, authority: CertificateAuthority, directory: Path, cleanup: ExitStack
) -> list[tuple[str, int, int]]:
    """Serve one case on its addresses: address, port and plain HTTP port of each."""
    ports = []
    identity = authority.issue(case.certificate, case.host)
    for number, address in enumerate(case.addresses):
        if number and case.second_certificate is not None:
            identity = authority.issue(case.second_certificate, case.host)
        served = structs.replace(case, site=case.second_site) if number and case.second_site else case
        if case.engine == Raw("closed"):
            port = servers.refuse(address)
        elif isinstance(case.engine, Node | Nginx):
            port = external.listen(case, address, identity, directory, cleanup)
        else:
            port = servers.listen(address, tls_handler(served, identity, authority.root.chain_pem))
        if case.plain is None or case.http_port is None:
            http_port = servers.refuse(address)
        else:
            handler = plain_handler(case.plain, case.host)
            if case.plain_upgrade:
                handler = upgrading_handler(case, identity, authority.root.chain_pem)
            http_port = servers.listen(address, handler)
        ports.append((address, port, http_port))
    return ports
