"""Whether a certificate is its environment's own: on a provider's two host names, and on the owners' machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner import config
from scanner.lab import Lab
from tests.build.enforcement import Verdicts, judge, observe


def environment(name: str, head: str, *hosts: str) -> str:
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}.lab.example"\n' for host in hosts)
    return f'[[environment]]\nname = "{name}"\n{head}\n{endpoints}'


CONFIGURATION = "".join(
    (
        environment(
            "platform",
            'kind = "paas"\ndefault_domain = "good.lab.example"\ncustom_domain = "wrong-host.lab.example"',
            "good",
            "wrong-host",
        ),
        environment("premises", 'kind = "on-premises"', "good-rsa", "self-signed", "good-dual-address"),
        environment("copy", 'kind = "on-premises"', "good-rsa"),
    )
)

EXPECTED = {
    # Both host names answer, and each is judged by the domain that it belongs to.
    "platform/good.lab.example": "covers-domain",
    "platform/wrong-host.lab.example": "other-domain",
    "premises/good-rsa.lab.example": "shared",
    "copy/good-rsa.lab.example": "shared",
    "premises/self-signed.lab.example": "self-signed",
    "premises/good-dual-address.lab.example": "own",
}


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Verdicts]:
    with Lab(only=("good", "wrong-host", "good-rsa", "self-signed", "good-dual-address")) as lab:
        environments = config.parse(CONFIGURATION, source="test", folder=Path()).inventory.environments
        yield judge(environments, observe(environments, lab.connect_to))


@pytest.mark.parametrize("place", EXPECTED)
def test_the_certificate_is_the_environments_own_or_not(verdicts, place):
    reasons = {
        verdict.reason
        for target, found in verdicts.items()
        if target.startswith(f"{place}:")
        for verdict in found
        if verdict.rule == "cert.domain"
    }
    assert reasons == {EXPECTED[place]}
