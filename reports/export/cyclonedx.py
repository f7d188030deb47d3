"""CycloneDX 1.6 and 1.7, as a cryptography bill of materials (CBOM): what of cryptography is in use, and where.

A service for each target depends on the protocols that it negotiates and the certificates that it serves; a protocol
names its cipher suites, groups and signature schemes, and a certificate its key and signature. Equal ones are one
asset. It is an inventory of what was observed, and says nothing of compliance: the other formats do. A target that was
not looked at in full says so in `nightseal:status`, because what is missing here may still be there.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from cyclonedx.model import HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.crypto import (
    CertificateProperties,
    CryptoAssetType,
    CryptoProperties,
    ProtocolProperties,
    ProtocolPropertiesCipherSuite,
    ProtocolPropertiesType,
    RelatedCryptoMaterialProperties,
    RelatedCryptoMaterialType,
)
from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
from cyclonedx.model.service import Service
from cyclonedx.model.tool import ToolRepository
from cyclonedx.schema.schema import BaseSchemaVersion, SchemaVersion1Dot6, SchemaVersion1Dot7

from reports.export.crypto_algorithms import Algorithm, of_group, of_key, of_signature, of_suite
from reports.view.certificates import common_name, deployments_of
from reports.view.part import part_in_words
from scanner.evidence import Certificate, Protocol, ProtocolOffer, TlsEvidence
from scanner.verdict import RunRecord, TargetResult

NAMESPACE: Final = uuid.UUID("3a6f0d1e-5f0b-5c0e-9a53-6e1d7c2b8f04")
"""Ids in documents are made of it and of what they name, so that the same run gives the same bytes."""

_SCHEMA: Final = "http://cyclonedx.org/schema/bom-{version}.schema.json"
_INDENT: Final = 2
_SSL: Final = {Protocol.SSL2: "2.0", Protocol.SSL3: "3.0"}


def to_cyclonedx(record: RunRecord) -> str:
    """Write a run as a CycloneDX 1.6 bill of materials in JSON. The same run, the same bytes."""
    return b"".join(cyclonedx_pieces(record)).decode()


def to_cyclonedx_1_7(record: RunRecord) -> str:
    """The same by CycloneDX 1.7."""
    return b"".join(cyclonedx_1_7_pieces(record)).decode()


def cyclonedx_pieces(record: RunRecord) -> Iterator[bytes]:
    """`to_cyclonedx` piece by piece, in UTF-8."""
    return _pieces(record, SchemaVersion1Dot6)


def cyclonedx_1_7_pieces(record: RunRecord) -> Iterator[bytes]:
    """`to_cyclonedx_1_7` piece by piece, in UTF-8."""
    return _pieces(record, SchemaVersion1Dot7)


def _pieces(record: RunRecord, view: type[BaseSchemaVersion]) -> Iterator[bytes]:
    """The bill as JSON, item by item, in the order of the run.

    The library's own output holds the whole bill in memory, and for each reference looks through all of them whether it
    is there once and leads somewhere, which takes minutes where there are many thousands. Here references are made from
    what they name, each once, so its serialisation of a single item is used, without that.
    """
    told = view().get_schema_version()
    subject = _subject(record)
    head = {"$schema": _SCHEMA.format(version=told), "bomFormat": "CycloneDX", "specVersion": told}
    opening, closing = json.dumps(_as_json(_bill(record, subject), view) | head, indent=_INDENT), "\n}"
    yield opening.removesuffix(closing).encode()
    assets = _Assets()
    used = list[list[str]]()

    def components() -> Iterator[Any]:
        for target in record.targets:
            used.append([ref.value for ref in assets.used_by(target) if ref.value])
            yield from (_as_json(item, view) for item in assets.taken())

    def dependencies() -> Iterator[Any]:
        yield _dependency(subject.bom_ref.value, (target.id for target in record.targets))
        for target, refs in zip(record.targets, used, strict=True):
            yield _dependency(target.id, refs)
        yield from map(_dependency, assets.refs)

    yield from _array("components", components())
    yield from _array("services", (_as_json(_service(target), view) for target in record.targets))
    yield from _array("dependencies", dependencies())
    yield f"{closing}\n".encode()


def _array(name: str, items: Iterable[Any]) -> Iterator[bytes]:
    """A list as the next member of the document; nothing of an empty one, as the library writes it."""
    opening, margin = f',\n{" " * _INDENT}"{name}": [', "\n" + " " * 2 * _INDENT
    for item in items:
        # No string of JSON holds a line feed.
        yield f"{opening}{margin}{json.dumps(item, indent=_INDENT).replace(chr(10), margin)}".encode()
        opening = ","
    if opening == ",":
        yield f"\n{' ' * _INDENT}]".encode()


def _as_json(item: Any, view: type[BaseSchemaVersion]) -> Any:
    return json.loads(item.as_json(view_=view))


def _dependency(ref: str | None, needs: Iterable[str] = ()) -> dict[str, Any]:
    return {"ref": ref} | ({"dependsOn": listed} if (listed := sorted(set(needs))) else {})


def _subject(record: RunRecord) -> Component:
    run = record.run
    return Component(
        name=f"HTTPS of {', '.join(run.environments) or 'the targets of an ad-hoc scan'}",
        type=ComponentType.APPLICATION,
        bom_ref=f"run/{run.id}",
    )


def _bill(record: RunRecord, subject: Component) -> Bom:
    """The bill without anything in it."""
    run = record.run
    return Bom(
        serial_number=uuid.uuid5(NAMESPACE, f"{run.id} {run.part}" if run.part else run.id),
        metadata=BomMetaData(
            timestamp=run.finished_at,
            tools=ToolRepository(
                components=[Component(name="Nightseal", version=run.tool_version, type=ComponentType.APPLICATION)]
            ),
            component=subject,
            lifecycles=[PredefinedLifecycle(LifecyclePhase.OPERATIONS)],
            properties=[
                Property(name="nightseal:run", value=run.id),
                Property(name="nightseal:complete", value=str(run.complete).lower()),
                *([Property(name="nightseal:part", value=part_in_words(run.part))] if run.part else []),
            ],
        ),
    )


def _service(target: TargetResult) -> Service:
    scheme = target.starttls.value if target.starttls else "https" if target.role.speaks_http else "tls"
    known = {
        "application": target.application,
        "ip": target.ip,
        "role": target.role.value,
        "status": target.status.value,
        "not-observed": target.error.reason.value if target.error else None,
    }
    return Service(
        name=target.address,
        group=target.environment,
        bom_ref=target.id,
        endpoints=[XsUri(f"{scheme}://{target.address}")],
        properties=[Property(name=f"nightseal:{name}", value=value) for name, value in known.items() if value],
    )


class _Assets:
    """Every cryptographic asset once; those that are taken away are only known by their references."""

    def __init__(self) -> None:
        self.refs: dict[str, None] = {}
        self._fresh: list[Component] = []

    def taken(self) -> list[Component]:
        """What came in since the last time."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def used_by(self, target: TargetResult) -> list[BomRef]:
        """Take in what a target was seen to use; return what it depends on itself."""
        tls = target.evidence.tls.value if target.evidence else None
        if tls is None:
            return []
        protocols = [self._protocol(protocol, tls) for protocol in tls.negotiated]
        leaves = []
        for deployment in deployments_of(target):
            refs = [self._certificate(certificate) for certificate in deployment.chain]
            leaves.append(refs[0])
        return list(dict.fromkeys((*protocols, *leaves)))

    def _add(self, ref: str, name: str, described: CryptoProperties, **more: Iterable[object]) -> BomRef:
        if ref not in self.refs:
            self.refs[ref] = None
            self._fresh.append(
                Component(
                    name=name,
                    type=ComponentType.CRYPTOGRAPHIC_ASSET,
                    bom_ref=ref,
                    crypto_properties=described,
                    **more,  # type: ignore[arg-type]  # hashes and properties alone are given
                )
            )
        return BomRef(ref)

    def _algorithm(self, algorithm: Algorithm) -> BomRef:
        name, properties = algorithm
        described = CryptoProperties(asset_type=CryptoAssetType.ALGORITHM, algorithm_properties=properties)
        return self._add(f"algorithm/{name}", name, described)

    def _protocol(self, protocol: Protocol, tls: TlsEvidence) -> BomRef:
        offer = tls.offer(protocol).value or ProtocolOffer()
        groups = tls.groups.get(protocol)
        schemes = tls.signature_schemes.get(protocol)
        found = (
            [suite.name for suite in offer.suites],
            list((groups.value if groups else None) or dict.fromkeys(filter(None, (s.group for s in offer.suites)))),
            list((schemes.value if schemes else None) or ()),
            offer.server_order,
        )
        ref = f"protocol/{protocol}/{hashlib.sha256(repr((protocol, found)).encode()).hexdigest()[:16]}"
        if ref in self.refs:
            return BomRef(ref)
        suites, group_names, scheme_names, ordered = found
        kind = "SSL" if protocol in _SSL else "TLS"
        version = _SSL.get(protocol) or protocol.removeprefix("tls")
        references = [
            *(self._algorithm(of_group(name)) for name in group_names),
            *(self._algorithm(of_signature(name)) for name in scheme_names),
        ]
        described = CryptoProperties(
            asset_type=CryptoAssetType.PROTOCOL,
            protocol_properties=ProtocolProperties(
                type=ProtocolPropertiesType.TLS,
                version=version if kind == "TLS" else f"SSL {version}",
                cipher_suites=[
                    ProtocolPropertiesCipherSuite(
                        name=name, algorithms=[self._algorithm(part) for part in of_suite(name)]
                    )
                    for name in suites
                ],
                crypto_refs=references,
            ),
        )
        # The format keeps no order.
        preference = [Property(name="nightseal:server-preference", value=" ".join(suites))] if ordered else []
        return self._add(ref, f"{kind} {version}", described, properties=preference)

    def _certificate(self, certificate: Certificate) -> BomRef:
        ref = f"certificate/{certificate.fingerprint}"
        if ref in self.refs:
            return BomRef(ref)
        key = CryptoProperties(
            asset_type=CryptoAssetType.RELATED_CRYPTO_MATERIAL,
            related_crypto_material_properties=RelatedCryptoMaterialProperties(
                type=RelatedCryptoMaterialType.PUBLIC_KEY,
                id=certificate.spki,
                algorithm_ref=self._algorithm(of_key(certificate)),
                size=certificate.key_bits,
            ),
        )
        key_ref = self._add(f"key/{certificate.spki}", f"Public key {certificate.spki[:16]}", key)
        described = CryptoProperties(
            asset_type=CryptoAssetType.CERTIFICATE,
            certificate_properties=CertificateProperties(
                subject_name=certificate.subject,
                issuer_name=certificate.issuer,
                not_valid_before=certificate.not_before,
                not_valid_after=certificate.not_after,
                signature_algorithm_ref=self._algorithm(of_signature(certificate.signature_algorithm)),
                subject_public_key_ref=key_ref,
                certificate_format="X.509",
            ),
        )
        names = list(_names(certificate))
        return self._add(
            ref,
            common_name(certificate.subject) or next(iter(names), "") or certificate.fingerprint,
            described,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=certificate.fingerprint)],
            properties=[Property(name="nightseal:subject-alternative-name", value=name) for name in names],
        )


def _names(certificate: Certificate) -> Iterator[str]:
    yield from certificate.dns_names
    yield from certificate.ip_addresses
