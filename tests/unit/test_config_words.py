"""Words of the platform's documentation lead to the value that is meant."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scanner.config.form import ConfigForm
from scanner.config.loading import parse
from scanner.errors import ConfigError
from scanner.inventory import ApplicationKind, EnvironmentKind, HttpsLevel, IntegrationKind, Role, StartTls
from scanner.platform_words import _MEANT, _MEANT_KEYS, KEYS, WORDS

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
        ("role", '"Integration Studio"', "development"),
        ("role", '"IntegrationStudio"', "development"),
        ("role", '"ODC Studio"', "development"),
        ("role", '"Users"', "monitoring"),
        ("role", '"ODC Portal"', "monitoring"),
        ("role", '"Forge"', "application"),
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


@pytest.mark.parametrize(
    ("section", "key", "meant"),
    [
        ("[[environment]]", "HSTS", "hsts"),
        ("[[environment]]", "Force-HTTPS-Screens", "force_https_screens"),
        ("[[environment]]", "ssl", "force_https_screens"),
        ("[[environment]]", "http_strict_transport_security", "hsts"),
        ("[[environment]]", "domain", "default_domain"),
        ("[[environment]]", "TYPE", "kind"),
        ("[[environment.application]]", "ssl", "https"),
        ("[[environment.application]]", "SSL", "https"),
        ("[[environment.application]]", "http_security", "https"),
        ("[[environment.application]]", "https_security", "https"),
        ("[[environment.application]]", "HTTP-Security", "https"),
        ("[[environment.application]]", "rest", "integrations"),
        ("[[environment.application]]", "screens", "force_https_screens"),
        ("[[environment.endpoint]]", "type", "role"),
        ("[[environment.endpoint]]", "fqdn", "host"),
        ("[scan]", "vantage_point", "vantage"),
    ],
)
def test_a_word_for_a_key_is_answered_with_the_key(section: str, key: str, meant: str) -> None:
    head = '[[environment]]\nname = "e"\n' if "." in section else ""
    with pytest.raises(ConfigError) as caught:
        parse(f'{head}{section}\n{key} = "x"\n', source="c.toml", folder=Path())

    (line,) = [line for line in str(caught.value).splitlines() if "unknown key" in line]
    assert line.endswith(f'{key}: unknown key (did you mean "{meant}"?)'), line


def test_every_word_for_a_key_means_one_that_exists() -> None:
    schema = ConfigForm.model_json_schema()
    known = {name for form in (schema, *schema["$defs"].values()) for name in form.get("properties", ())}

    assert set(_MEANT_KEYS) <= known
    for word, meant in KEYS.items():
        assert word == " ".join(word.casefold().split())
        assert word not in meant


E = '[[environment]]\nname = "e"\nkind = "on-premises"\n'
APPLICATION = f'{E}[[environment.application]]\nname = "A"\nkind = "service"\nhost = "a.example"\n'
CONSOLE = f'{E}[[environment.endpoint]]\nhost = "a.example"\nrole = "monitoring"\n'
MISSPELLED = {
    r"^/[^\s#]*$": [
        (f'{CONSOLE}paths = ["ServiceCenter"]', 'has to begin with "/": write "/ServiceCenter"'),
        (f'{CONSOLE}paths = ["https://a.example/lifetime"]', 'a path without the host: write "/lifetime"'),
        (f'{CONSOLE}paths = ["/Service Center"]', "holds a space or a break of the line: write a space as %20"),
        (f'{CONSOLE}paths = ["/a#b"]', 'holds "#", and what follows that is never sent to a server'),
        (f'{APPLICATION}paths = [{{ path = "Login" }}]', 'has to begin with "/": write "/Login"'),
        (f'{APPLICATION}integrations = [{{ path = "r", kind = "rest" }}]', 'has to begin with "/": write "/r"'),
    ],
    "^[a-zA-Z][a-zA-Z0-9_.-]{0,62}$": [
        (f'{E}labels = {{ "1 tier" = "x" }}', "the name of a label should be a letter and then letters, digits")
    ],
    "^[A-Z]+$": [
        (
            f'{APPLICATION}integrations = [{{ path = "/r", kind = "rest", methods = ["post"] }}]',
            'should be an HTTP method in capitals, such as "POST", not "post"',
        )
    ],
    "^[A-Za-z_][A-Za-z0-9_]*$": [
        (
            f'{E}[[environment.certificate]]\nfiles = ["a.p12"]\npassword_variable = "$PASS"',
            "should be the name of an environment variable",
        )
    ],
    "^[A-Za-z0-9_-]{1,64}$": [(f'{E}zone = "the dmz"', 'letters, digits, "_" or "-", such as "dmz", not "the dmz"')],
    "^0?[4-7][0-7]{2}$": [('[nightseal]\noutput_mode = "rw"', "should be the mode of a file")],
    r"^[A-Za-z0-9.:\[\]-]{1,255}$": [('[scan]\nhelo = "a b"', "should be a host name, or an address in brackets")],
    "^https?://.*$": [('[report]\ntsa = "tsa.example"', 'an address that begins with "http://" or "https://"')],
    r"^[^\x00-\x1f\x7f/@*?\[\]]+$": [(E.replace('"e"', '"a/b"'), 'holds "/", which has a special meaning in scopes')],
    r"^[^\x00-\x1f\x7f]+$": [('[scan]\nvantage = "a\\u0007"', "holds U+0007 (a control character)")],
    r"^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$": [('[scan]\ntimeout = "soon"', 'should be a duration such as "500ms"')],
}
"""By each regular expression in the schema of the configuration: what it does not take, and what is said then."""


def patterns_in(schema: object) -> set[str]:
    found = set[str]()
    if isinstance(schema, dict):
        found |= {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
        for value in schema.values():
            found |= patterns_in(value)
        for names in (schema.get("patternProperties"),):
            found |= set(names or ())
    elif isinstance(schema, list):
        for value in schema:
            found |= patterns_in(value)
    return found


def test_no_regular_expression_is_said_to_anybody() -> None:
    patterns = patterns_in(ConfigForm.model_json_schema())
    assert patterns <= set(MISSPELLED), "each has a sentence of its own"
    for text, said in (item for items in MISSPELLED.values() for item in items):
        with pytest.raises(ConfigError) as caught:
            parse(text, source="c.toml", folder=Path())
        assert said in str(caught.value)
        assert not any(pattern in str(caught.value) for pattern in MISSPELLED)
        assert not re.search(r"\^|\[\^|pattern|\\s", str(caught.value))


def test_a_kind_that_is_missing_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError) as error:
        parse('[[environment]]\nname = "e"\n', source="config.toml", folder=Path())
    (problem,) = error.value.problems
    assert str(problem) == 'environment[e].kind: is required ("paas" or "on-premises")'

    with pytest.raises(ConfigError) as error:
        parse(
            '[[environment]]\nname = "e"\nkind = "paas"\n  [[environment.application]]\n  host = "a.example"\n',
            source="config.toml",
            folder=Path(),
        )
    said = [str(problem) for problem in error.value.problems]
    assert "environment[e].application[a.example:443].name: is required" in said, "any text will do"
    assert any(text.startswith("environment[e].application[a.example:443].kind: is required (") for text in said)
    assert all(f'"{kind}"' in "".join(said) for kind in ApplicationKind)
