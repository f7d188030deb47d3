"""Words of the platform's documentation lead to the value that is meant."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from scanner.config import parse
from scanner.errors import ConfigError
from scanner.inventory import ApplicationKind, EnvironmentKind, HttpsLevel, IntegrationKind, Role, StartTls
from scanner.platform_words import _MEANT, WORDS

TEXT = """[[environment]]
name = "e"
kind = {environment}
  [[environment.endpoint]]
  host = "a.example"
  role = {role}
  [[environment.application]]
  name = "A"
  host = "b.example"
  kind = {kind}
  https = {https}
  integrations = [{{ path = "/r", kind = {integration} }}]
"""
FINE = {"environment": '"on-premises"', "role": '"monitoring"', "kind": '"service"', "https": '"tls"', "integration": '"rest"'}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "said", "meant"),
    [
        ("kind", '"mobile"', "mobile-backend"),
        ("kind", '"Traditional"', "traditional-web"),
        ("kind", '"Reactive Web App"', "reactive-web"),
        ("kind", '"pwas"', "pwa"),
        ("kind", '"PWA"', "pwa"),
        ("kind", '"Reactive_Web"', "reactive-web"),
        ("kind", '"mobile app"', "mobile-backend"),
        ("kind", '"Mobile Apps"', "mobile-backend"),
        ("integration", '"REST"', "rest"),
        ("integration", '" SOAP "', "soap"),
        ("role", '"MONITORING"', "monitoring"),
        ("https", '"always"', "tls"),
        ("https", '"Enforced"', "tls"),
        ("https", '"TLS"', "tls"),
        ("https", '"HTTPS only"', "tls"),
        ("https", '"not-enforced"', "none"),
        ("https", '"never"', "none"),
        ("environment", '"PaaS"', "paas"),
        ("role", '"console"', "monitoring"),
        ("role", '"Service Center"', "monitoring"),
        ("role", '"LifeTime"', "monitoring"),
        ("role", '"service-studio"', "development"),
        ("role", '"monitor"', "monitoring"),
        ("role", '"mobile"', "application"),
        ("role", '"Traditional Web App"', "application"),
        ("https", '"SSL/TLS with client certificates"', "tls-client-certificate"),
        ("https", '"SSL/TLS"', "tls"),
        ("https", '"HTTPS"', "tls"),
        ("https", "true", "tls"),
        ("environment", '"cloud"', "paas"),
        ("environment", '"on_premise"', "on-premises"),
        ("integration", '"SOAP web service"', "soap"),
    ],
)
def test_a_word_of_the_documentation_is_answered_with_the_value(key: str, said: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TEXT.format_map({**FINE, key: said}), source="c.toml", folder=Path())

    (line,) = str(caught.value).splitlines()
    assert line.endswith(f'(did you mean "{meant}"?)'), line


def test_a_word_that_means_nothing_is_answered_with_no_guess() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TEXT.format_map({**FINE, "role": '"zzz"'}), source="c.toml", folder=Path())

    assert "did you mean" not in str(caught.value)


def test_every_word_means_a_value_that_exists_and_is_none_itself() -> None:
    values = {
        str(item)
        for kind in (ApplicationKind, EnvironmentKind, HttpsLevel, IntegrationKind, Role, StartTls)
        for item in kind
    }

    assert set(_MEANT) <= values
    assert tomllib.loads(TEXT.format_map(FINE))
    for word, meant in WORDS.items():
        assert word == " ".join(word.casefold().split())
        assert "-" not in word, "a hyphen is read as a space"
        assert word not in meant


@pytest.mark.parametrize("key", ["scan.deadline", "scan.timeout", "history.keep"])
def test_a_duration_out_of_bounds_is_told_as_one(key: str) -> None:
    section, _, name = key.partition(".")
    with pytest.raises(ConfigError) as refused:
        parse(f'[{section}]\n{name} = "0s"\n', source="c.toml", folder=Path())
    assert str(refused.value) == f'c.toml:2: {key}: should be greater than 0s, not "0s"'
