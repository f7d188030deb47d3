"""A hello, built and read back by the library's own parser."""

from __future__ import annotations

import pytest
from msgspec import structs
from tlslite.constants import ExtensionType
from tlslite.extensions import SNIExtension
from tlslite.messages import ClientHello, RecordHeader3
from tlslite.utils.codec import Parser

from scanner.evidence import Protocol
from scanner.probe import iana
from scanner.probe.survey import baseline as survey_baseline
from scanner.probe.survey import hello as survey_hello
from scanner.probe.survey.hello import KEY_SHARE_GROUPS, SIGNED_CERTIFICATE_TIMESTAMP, WIRE_VERSIONS, Offer, to_wire
from scanner.probe.survey.offers import HelloTemplate


def read_back(offer: Offer) -> ClientHello:
    wire = bytearray(to_wire(offer))
    header = RecordHeader3().parse(Parser(wire[:5]))
    assert header.length == len(wire) - 5
    return ClientHello().parse(Parser(wire[6:]))


def extension(hello: ClientHello, kind: int):
    return hello.getExtension(kind)


@pytest.mark.parametrize("protocol", [Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2])
def test_an_older_version_is_offered_as_such(protocol):
    hello = read_back(HelloTemplate("shop.example").offer(protocol, (0xC02F, 0x009C)))
    assert hello.client_version == WIRE_VERSIONS[protocol]
    assert hello.cipher_suites == [0xC02F, 0x009C]
    assert hello.compression_methods == [1, 0]
    assert extension(hello, ExtensionType.supported_versions) is None
    assert bytes(hello.server_name) == b"shop.example"
    assert (extension(hello, ExtensionType.signature_algorithms) is not None) == (protocol is Protocol.TLS1_2)


def test_tls13_is_offered_without_a_key_and_without_compression():
    hello = read_back(HelloTemplate("shop.example").offer(Protocol.TLS1_3, (0x1301,)))
    assert hello.client_version == (3, 3)
    assert extension(hello, ExtensionType.supported_versions).versions == [(3, 4)]
    assert extension(hello, ExtensionType.key_share).client_shares == []
    assert hello.compression_methods == [0]
    assert len(hello.session_id) == 32


def test_key_shares_have_the_sizes_that_their_groups_demand():
    offer = HelloTemplate(None).offer(Protocol.TLS1_3, (0x1301,), key_shares=KEY_SHARE_GROUPS)
    shares = extension(read_back(offer), ExtensionType.key_share).client_shares
    sizes = {iana.groups()[share.group].name: len(share.key_exchange) for share in shares}
    assert sizes == {"x25519": 32, "secp256r1": 65, "x25519mlkem768": 1184 + 32}


def test_ssl3_has_no_extensions_but_the_signal_for_renegotiation():
    hello = read_back(HelloTemplate("shop.example").offer(Protocol.SSL3, (0x0005,)))
    assert hello.extensions is None
    assert hello.cipher_suites == [0x0005, 0x00FF]


def test_a_fallback_is_signalled():
    offer = structs.replace(HelloTemplate(None).offer(Protocol.TLS1_1, (0x002F,)), fallback=True)
    assert read_back(offer).cipher_suites == [0x002F, iana.FALLBACK_SCSV]


def test_ssl2_has_its_own_form():
    wire = to_wire(HelloTemplate("shop.example").offer(Protocol.SSL2, iana.offered_suites(Protocol.SSL2)))
    assert wire[0] & 0x80
    assert int.from_bytes(wire[:2], "big") & 0x7FFF == len(wire) - 2
    hello = ClientHello(ssl2=True).parse(Parser(bytearray(wire[3:])))
    assert hello.client_version == (0, 2)
    assert tuple(hello.cipher_suites) == iana.offered_suites(Protocol.SSL2)


def test_no_name_no_extension():
    hello = read_back(HelloTemplate(None).offer(Protocol.TLS1_2, (0xC02F,)))
    assert extension(hello, ExtensionType.server_name) is None


@pytest.mark.parametrize("protocol", [Protocol.TLS1_0, Protocol.TLS1_2, Protocol.TLS1_3])
def test_a_small_hello_stays_below_the_size_at_which_old_load_balancers_hang(protocol):
    template = HelloTemplate("a-rather-long-name.of-some-department.example.com", small=True)
    alpn = ("h2", "http/1.1") if protocol is Protocol.TLS1_2 else ()
    for part in template.parts(iana.offered_suites(protocol)):
        assert len(to_wire(template.offer(protocol, part, alpn=alpn))) < 256 + 5


def test_the_small_hello_of_every_version_is_small_too():
    template = HelloTemplate("a-rather-long-name.of-some-department.example.com", small=True)
    assert len(to_wire(survey_baseline._small_and_new(template))) < 256 + 5


@pytest.mark.parametrize("protocol", [Protocol.TLS1_0, Protocol.TLS1_2])
def test_a_small_hello_asks_for_all_that_is_told_of_the_answer(protocol):
    hello = read_back(HelloTemplate("shop.example", small=True).offer(protocol, (0xC02F,)))
    asked = {extension.extType for extension in hello.extensions}
    assert asked >= {
        ExtensionType.extended_master_secret,
        ExtensionType.encrypt_then_mac,
        ExtensionType.renegotiation_info,
        ExtensionType.session_ticket,
        ExtensionType.status_request,
        SIGNED_CERTIFICATE_TIMESTAMP,
    }
    assert hello.compression_methods == [1, 0]


def test_two_hellos_differ_in_their_random_alone():
    offer = HelloTemplate("shop.example").offer(Protocol.TLS1_2, (0xC02F,))
    first, second = to_wire(offer), to_wire(offer)
    assert first != second
    assert first[:11] == second[:11]
    assert first[43:] == second[43:]


def _all_kinds() -> list[Offer]:
    """Offers of every version, with all that one can vary in."""
    templates = [
        HelloTemplate(None),
        HelloTemplate(None, small=True),
        HelloTemplate(None, limit=3),
        HelloTemplate(None, without=frozenset({ExtensionType.status_request, ExtensionType.renegotiation_info})),
    ]
    of_versions = [
        template.offer(protocol, iana.offered_suites(protocol), alpn=alpn)
        for template in templates
        for protocol in Protocol
        for alpn in ((), ("h2", "http/1.1"))
    ]
    keys = templates[0].offer(Protocol.TLS1_3, (0x1301,), key_shares=KEY_SHARE_GROUPS)
    bare = Offer((Protocol.TLS1_2,), (0xC02F,), without=frozenset({ExtensionType.renegotiation_info}), small=True)
    modern = [survey_baseline._modern(template) for template in templates]
    offers = [*of_versions, *modern, keys, bare]
    return [
        *offers,
        *(structs.replace(offer, fallback=True) for offer in offers),
        *(structs.replace(offer, padding=300) for offer in offers),
    ]


@pytest.mark.parametrize("name", ["a.b", "shop.example", "x" * 63 + ".a-rather-long-name.of-some-department.example"])
def test_a_hello_with_a_name_is_what_the_library_writes_with_it(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(survey_hello.os, "urandom", bytes)
    survey_hello._template.cache_clear()
    for offer in _all_kinds():
        named = to_wire(structs.replace(offer, server_name=name))
        if offer.highest in {Protocol.SSL2, Protocol.SSL3}:
            assert named == to_wire(offer)
            continue
        whole = read_back(offer)
        whole.extensions = [SNIExtension().create(bytearray(name.encode())), *(whole.extensions or ())]
        body = bytes(whole.write())
        header = RecordHeader3().create((named[1], named[2]), named[0], len(body)).write()
        assert named == bytes(header) + body
    survey_hello._template.cache_clear()
