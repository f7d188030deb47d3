"""`nightseal import`: files as the other programs write them, what is refused of them, and what is written."""

from __future__ import annotations

import io
import ssl
import sys
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanner.app.cli import run
from scanner.config.loading import load
from scanner.inventories import SOURCES, Options, read
from tests.build.certificates import leaf

DATA = Path(__file__).parent.parent / "data" / "inventories"
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shown(text: str) -> list[str]:
    """The rows of CSV without its head, empty cells at their ends left out."""
    return [line.rstrip(",") for line in text.splitlines()[1:]]


@pytest.mark.parametrize(
    ("name", "expected", "left_out"),
    [
        (
            "scan.xml",
            ["shop.example.com", "shop.example.com,9200", "192.0.2.17,25,server,smtp"],
            ["2 open ports not known for TLS (all of them: --all-ports): shop.example.com:22, shop.example.com:80", "1 port other than TCP: 192.0.2.17:443/udp"],
        ),
        ("masscan.json", ["192.0.2.20", "192.0.2.21,993,server"], ["1 open port not known"]),
        ("naabu.jsonl", ["api.example.com", "api.example.com,9443"], ["1 port other than TCP"]),
        ("tlsx.jsonl", ["www.example.com", "db.example.com,9999"], []),
        (
            "example.com.zone",
            [
                "example.com", "ns1.example.com", "www.example.com", "shop.example.com", "mail.example.com",
                "node-1.example.com", "node-2.example.com", "node-3.example.com", "mail.example.com,25,server,smtp",
            ],
            ["1 wildcard in place of a host name: *.apps.example.com", "2 names without an address", "1 name of a "
                "record, not of a host", "1 mail server of somebody else: mx.provider.example"],
        ),
        (
            "cluster.yaml",
            [
                "shop.example.com,,,retail", "pay.example.com,,,retail", "edge.example.com,8443,,infra",
                "blog.example.com,,,web", "mqtt.example.com,8883,server", "mqtt2.example.com,8883,server",
            ],
            [
                "1 wildcard in place of a host name: *.preview.example.com", "1 listener without TLS: Gateway "
                    "infra/edge http",
                "1 object for every host: Gateway infra/edge any", "2 open ports not known",
                "1 service reachable only inside the cluster: Service iot/db",
                "1 object of a kind that is not read (Deployment): Deployment retail/shop",
            ],
        ),
        ("kubectl.json", ["intra.example.com,,,office", "a1b2.elb.example.net,636,server"], []),
        (
            "terraform.tfstate",
            ["www.example.org", "example.org", "cdn.example.org", "d111111abcdef8.cloudfront.example"],
            ["1 record without an address: _acme TXT", "1 wildcard in place of a host name", "1 resource of a type "
                "that is not read (aws_s3_bucket): aws_s3_bucket.logs", "1 data source that is managed elsewhere "
                    "(aws_lb): data.aws_lb.other"],
        ),
        ("ct.json", ["portal.example.com", "www.portal.example.com"], ["1 mail address: user@example.com", "1 "
            "wildcard in place of a host name"]),
        ("blackbox.yml", ["status.example.com,,operations", "192.0.2.90,8443,operations"], ["1 target of plain HTTP: "
            "http://plain.example.com", "1 open port"]),
        ("sslyze.json", ["secure.example.com", "mx.example.com,25,server,smtp"], []),
        ("testssl.json", ["legacy.example.com,8443"], []),
        ("testssl-pretty.json", ["pop.example.com,110,server,pop3"], []),
    ],
)  # fmt: skip
def test_files_as_other_programs_write_them(
    name: str, expected: list[str], left_out: list[str], capsys: Captured
) -> None:
    assert run(["import", str(DATA / name), "--to", "csv"]) == 0

    said = capsys.readouterr()
    assert shown(said.out) == expected
    told = [line.removeprefix("  left out: ") for line in said.err.splitlines() if line.startswith("  left out: ")]
    assert len(told) == len(left_out), told
    for line, start in zip(sorted(told), sorted(left_out), strict=True):
        assert line.startswith(start)


def test_every_form_has_a_file_that_is_tried() -> None:
    tried = {read_form for name in DATA.iterdir() if (read_form := _form(name))}

    assert tried | {"csv", "xlsx", "list", "certificates"} == set(SOURCES)


def _form(path: Path) -> str | None:
    from scanner.inventories.table import form_of

    return form_of(path.name, path.read_bytes())


def test_certificates(tmp_path: Path, capsys: Captured) -> None:
    made = leaf("www.example.com", "*.example.com", "b.example", not_before=datetime(2026, 1, 1, tzinfo=UTC), days=90)
    (tmp_path / "a.pem").write_text("# ours\n" + ssl.DER_cert_to_PEM_cert(made.der) * 2, "ascii")
    (tmp_path / "b.der").write_bytes(made.der)
    (tmp_path / "c.pem").write_text("\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ascii")

    assert run(["import", "a.pem", "b.der", "--to", "csv"]) == 0
    said = capsys.readouterr()
    assert shown(said.out) == ["www.example.com", "b.example"]
    assert "2 hosts named by another file, too" in said.err
    assert run(["import", "c.pem"]) == 2
    assert capsys.readouterr().err == "nightseal: c.pem:2: holds no certificate that can be read (PEM or DER)\n"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", "apiVersion: v1\nkind: Service\nx: !!python/object/apply:os.system [id]\n", "a.yaml:3: has a tag "
            "that constructs objects of a program"),
        ("a.yaml", "apiVersion: v1\n" + BOMB, "a.yaml:9: becomes too large with its aliases written out (write them "
            "out)"),
        ("a.yaml", "apiVersion: v1\nx: &x 1\ny: [" + "*x, " * 101 + "]\n", "a.yaml:3: has more than 100 aliases "
            "(write them out)"),
        ("a.yaml", f"apiVersion: v1\nx: &x {'y' * 2_000_000}\nz: [" + "*x, " * 40 + "]\n", "a.yaml:3: becomes too "
            "large with its aliases"),
        ("a.yaml", "apiVersion: v1\nkind: Ingress\n" + BOMB + "metadata: {name: *h}\n", "a.yaml:10: becomes too large "
            "with its aliases"),
        ("a.yaml", "apiVersion: v1\nx: " + "[" * 5000, "a.yaml:2: is nested more than 100 deep"),
        ("a.yaml", "apiVersion: v1\nkind: [\n", "a.yaml:3: is not YAML: did not find expected node content"),
        ("a.yaml", "apiVersion: v1\nx: &x [*x]\n", "a.yaml:1: holds no object of Kubernetes"),
        ("a.json", '{"apiVersion": "v1", "x": ' + "[" * 100_000, "a.json:1: is nested more than 100 deep"),
        ("a.json", '{"apiVersion": "v1", "x": "[[ \\" {{",\n' + '"a": {\n' * 5000 + "}" * 5001, "a.json:101: is nested more than 100 deep"),
        ("a.json", '{"apiVersion": "v1",\n"x": ' + "[" * 100 + "]" * 100 + "}", "a.json:2: is nested more than 100 "
            "deep"),
        ("a.jsonl", '{"ip": "192.0.2.1", "port": 443}\n{"x": ' + "[" * 100 + "]" * 100 + "}\n", "a.jsonl:2: is nested "
            "more than 100 deep"),
        ("a.json", f'{{"apiVersion": "v1", "x": "{"1" * 5000}", "y": 1.{"0" * 5000},\n"z": -{"9" * 5000}}}', "a.json:2: contains a number of more than 4300 digits"),
        ("a.jsonl", '{"ip": "192.0.2.1", "port": 443}\n{"ip": "192.0.2.1", "port": ' + "9" * 5000 + "}\n", "a.jsonl:2: contains a number of more than 4300 digits"),
        ("a.jsonl", '{"ip": "192.0.2.1", "port": 443}\n{"ip": ' + "[" * 100_000 + "\n", "a.jsonl:2: is nested more "
            "than 100 deep"),
        ("a.yaml", f"apiVersion: v1\nkind: Ingress\nx:\n- {'9' * 5000}\n", "a.yaml:4: is not YAML: Exceeds the limit "
            "(4300 digits)"),
        ("a.yaml", "apiVersion: v1\nkind: Ingress\nx: 2026-13-01\n", "a.yaml:3: is not YAML: month must be in 1..12"),
        ("a.json", '{"apiVersion": "v1",\n "kind": }', "a.json:2: is not JSON: Expecting value"),
        ("a.json", '{"terraform_version": "0.11", "resources": [], "version": 3}', "a.json: is a state of version 3, "
            "not 4"),
        ("a.json", "[1, 2]", "a.json: is of no known format (name it with format: csv, xlsx, "),
        ("a.xml", '<?xml version="1.0"?>\n<!DOCTYPE x [\n<!ENTITY a "aaaa">\n]>\n<nmaprun>&a;</nmaprun>', "a.xml:3: "
            "defines entities, which nmap never does"),
        ("a.xml", '<!DOCTYPE x SYSTEM "file:///etc/passwd" [<!ENTITY x SYSTEM "file:///etc/passwd">]><nmaprun>&x;</nmaprun>', "a.xml:1: defines entities"),
        ("a.xml", "<nmaprun>\n<host></nmaprun>", "a.xml:2: is not XML: mismatched tag"),
        ("a.xml", "<html></html>", "a.xml:1: is XML, but not nmap's (write it by nmap -oX)"),
        ("a.jsonl", '{"ip": "192.0.2.1", "port": 443}\n{"port": 443}\n', "a.jsonl:2: names no host or ip"),
        ("a.jsonl", '{"ip": "192.0.2.1", "port": 443}\n{"ip": "192.0.2.1", "port": 0}\n', "a.jsonl:2: names no port"),
        ("a.jsonl", '{"ip": "192.0.2.1", "port": 443}\n{"ip": \n', "a.jsonl:2: is not JSON: Expecting value"),
        ("a.zone", "$ORIGIN example.com.\n@ IN A 192.0.2.1\n$INCLUDE /etc/passwd\n", "a.zone:3: includes another file "
            "(named-compilezone"),
        ("a.zone", "$ORIGIN example.com.\n$GENERATE 1-999999999 n$ A 192.0.2.1\n", "a.zone:2: generates more than "
            "100000 names"),
        ("a.zone", "www 3600 IN A 192.0.2.1\n", "a.zone:1: does not name its zone (say its origin: --origin"),
        ("a.zone", "$ORIGIN example.com.\n@ 60 IN A 192.0.2.1\nwww IN A 192.0.2.999\n", "a.zone:3: is not a zone "
            "file: "),
        ("a.zone", "$ORIGIN example.com.\n@ 60 IN A 192.0.2.1\nwww IN A 192.0.2.999\nx IN A 192.0.2.3\n", "a.zone:3: "
            "is not a zone file: "),
        ("a.zone", "$ORIGIN example.com.\n@ IN TXT ( a\nwww IN A 192.0.2.9\n", "a.zone:2: is not a zone file: "
            "unbalanced parentheses"),
        ("a.txt", "a.example\nb.example c.example\n", 'a.txt:2: "b.example c.example" is more than a host'),
        ("a.txt", "a.example\nb.example:99999\n", 'a.txt:2: "b.example:99999": the port must be a number from 1 to 65535'),
        ("a.txt", "a.example\n10.0.0.0/24\n", 'a.txt:2: "10.0.0.0/24" is a network of 254 hosts (--expand 255 takes them)'),
        ("a.txt", "a.example\nA.EXAMPLE\n", "a.txt:2: A.EXAMPLE is already listed at a.txt:1"),
        ("a.txt", "a b.example\x1b[31m\n", 'a.txt:1: "a b.example\\x1b[31m" is more than a host'),
        ("a.txt", "# nothing\n", "a.txt: names no host that could be scanned"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_what_is_wrong_or_hostile_is_told_with_its_line_and_nothing_is_written(
    name: str, text: str, expected: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / name).write_text(text, "utf-8")

    assert run(["import", name, "-o", "out.toml"]) == 2

    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("nightseal: ")]
    assert len(said) == 1, said
    assert said[0].startswith(f"nightseal: {expected}"), said
    assert not (tmp_path / "out.toml").exists()


def test_one_bad_file_of_several_leaves_all_unwritten(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("a.example\n", "utf-8")
    (tmp_path / "bad.txt").write_text("b example\n", "utf-8")

    assert run(["import", "good.txt", "bad.txt", "-o", "out.toml"]) == 2
    assert not (tmp_path / "out.toml").exists()


def test_what_is_written_is_included_as_it_is(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "hosts.csv").write_text(
        "host,port,role,application,kind,paths,owner,label.tier,environment\n"
        "shop.example,,,Shop,reactive-web,/Shop /Cart,payments,1,production\n"
        'con.example,8443,monitoring,,,/ServiceCenter,"=SUM(1)\'s",,production\n'.replace('"=SUM(1)\'s"', "'=boss")
        + "mail.example,25,,,,,,,test\n",
        "utf-8",
    )
    (tmp_path / "config.toml").write_text(
        'include = ["new.toml"]\n[[environment]]\nname = "production"\nkind = "paas"\n', "utf-8"
    )
    (tmp_path / "new.toml").write_text("", "utf-8")

    assert run(["import", "hosts.csv", "-o", "new.toml"]) == 2, "it is there"
    assert "new.toml exists already and is not overwritten" in capsys.readouterr().err
    assert run(["import", "hosts.csv", "-o", "new.toml", "--replace"]) == 0
    assert "Wrote new.toml: 3 endpoints, 1 application in 2 environments. The configuration reads it already" in (
        capsys.readouterr().err
    )

    text = (tmp_path / "new.toml").read_text("utf-8")
    assert text.startswith("# Written by `nightseal import` from hosts.csv.\n# Review it, remove what is not yours")
    production, test = tomllib.loads(text)["environment"]
    assert "kind" not in production, "the configuration says it"
    assert test["kind"] == "on-premises"
    config = load(tmp_path / "config.toml")
    assert [item.id for item in config.inventory.endpoints] == [
        "production/con.example:8443", "production/shop.example:443", "test/mail.example:25",
    ]  # fmt: skip
    assert config.inventory.endpoints[0].ownership.owner == "=boss"
    # CSV is read again as the same, formulas included.
    assert run(["import", "hosts.csv", "-o", "again.csv"]) == 0
    assert "'=boss" in (tmp_path / "again.csv").read_text("utf-8")
    capsys.readouterr()
    assert run(["import", "again.csv", "--diff"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == "0 new, 0 gone, 0 changed, 3 the same"


def test_the_difference_to_the_configuration(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "config.toml").write_text(
        '[[environment]]\nname = "production"\nkind = "on-premises"\nowner = "platform"\n'
        '[[environment.endpoint]]\nhost = "same.example"\n'
        '[[environment.endpoint]]\nhost = "old.example"\n'
        '[[environment.endpoint]]\nhost = "other.example"\nlabels = { tier = "1" }\n'
        '[[environment]]\nname = "test"\nkind = "on-premises"\n[[environment.endpoint]]\nhost = "t.example"\n',
        "utf-8",
    )
    (tmp_path / "hosts.csv").write_text(
        "host,owner,label.tier\nsame.example,platform,\nother.example,ops,2\nnew.example,,\n", "utf-8"
    )
    before = sorted(path.name for path in tmp_path.iterdir())

    assert run(["import", "hosts.csv", "--diff", "--environment", "production"]) == 0

    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "+ production/new.example:443",
        "- production/old.example:443",
        "~ production/other.example:443: owner platform → ops; label tier 1 → 2",
    ]
    assert said.err.splitlines()[-1] == "1 new, 1 gone, 1 changed, 1 the same"
    assert run(["import", "hosts.csv", "--diff"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "+ new.example:443",
        "- production/old.example:443",
        "- test/t.example:443",
        "~ production/other.example:443: owner platform → ops; label tier 1 → 2",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert run(["import", "hosts.csv", "--diff", "--config", "gone.toml"]) == 2


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir()))
def test_each_form_is_compared_with_what_was_made_of_it(name: str, tmp_path: Path, capsys: Captured) -> None:
    source, chosen = str(DATA / name), ["--environment", "production"]
    (tmp_path / "config.toml").write_text(
        'include = ["new.toml"]\n[[environment]]\nname = "production"\nkind = "on-premises"\n', "utf-8"
    )
    (tmp_path / "new.toml").write_text("", "utf-8")
    assert run(["import", source, *chosen, "--diff"]) == 0
    count = len(capsys.readouterr().out.splitlines())
    assert count > 0
    assert run(["import", source, *chosen, "-o", "new.toml", "--replace"]) == 0
    capsys.readouterr()

    assert run(["import", source, *chosen, "--diff"]) == 0

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == f"0 new, 0 gone, 0 changed, {count} the same"


def test_a_difference_of_many_hosts_takes_seconds(tmp_path: Path) -> None:
    begun = time.process_time()
    hosts = "".join(f"h{number}.example\n" for number in range(5_000))
    (tmp_path / "hosts.txt").write_text(hosts, "utf-8")
    (tmp_path / "config.toml").write_text(
        '[[environment]]\nname = "e"\nkind = "on-premises"\n[[environment.inventory]]\nfrom = "hosts.txt"\n', "utf-8"
    )

    assert run(["import", "hosts.txt", "--diff"]) == 0
    assert time.process_time() - begun < 20


def test_networks_become_hosts_by_their_count_alone(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a.txt").write_text("10.0.0.0/30\n10.0.1.5-6\n", "utf-8")

    assert run(["import", "a.txt", "--expand", "3"]) == 2
    assert "a.txt: comes to 4 hosts with its networks, not to 3 (--expand 4 takes them)" in capsys.readouterr().err
    assert run(["import", "a.txt", "--expand", "4", "--to", "csv"]) == 0
    assert shown(capsys.readouterr().out) == ["10.0.0.1", "10.0.0.2", "10.0.1.5", "10.0.1.6"]


def test_stdin_needs_a_form(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a.example\n")))

    assert run(["import", "-"]) == 2
    assert "name it with --from" in capsys.readouterr().err
    assert run(["import", "--from", "list", "-"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["environment"][0]["endpoint"] == [{"host": "a.example"}]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gone.csv"], "gone.csv: cannot be read: No such file or directory"),
        (["axfr://ns.example"], '"axfr://ns.example": should be axfr://SERVER/ZONE'),
        (["axfr://ns.example:x/z"], "the port must be a number"),
        (["a.txt", "--column", "host"], '--column "host": should be KEY=NAME'),
        (["a.txt", "-o", "."], ". is a directory: name a file in it"),
        (["a.txt", "-o", "gone/x.toml"], "gone is not a directory"),
        (["a.txt", "b.txt", "--expand", "2"], "--expand counts the hosts of one file"),
    ],
)
def test_wrong_use(arguments: list[str], expected: str, tmp_path: Path, capsys: Captured) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"{name[0]}.example\n", "utf-8")

    assert run(["import", *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_an_alias_within_bounds_is_an_alias() -> None:
    text = "apiVersion: v1\nkind: Ingress\nspec:\n  tls: [{hosts: &h [a.example]}]\n  rules: []\n  again: *h\n"

    assert [row.host for row in read("a.yaml", text.encode(), Options(), "kubernetes").rows] == ["a.example"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("axfr://127.0.0.1/a..b", '"a..b" is not the name of a zone: A DNS label is empty'),
        ("axfr://127.0.0.1/../x", '"../x" is not the name of a zone'),
        (f"axfr://127.0.0.1/{'a' * 70}", "is not the name of a zone: A DNS label is > 63 octets long"),
        (f"axfr://127.0.0.1/{'a.' * 130}b", "is not the name of a zone: A DNS name is > 255 octets long"),
        ("axfr://127.0.0.1/x\\999", "is not the name of a zone"),
        ("axfr://127.0.0.1/é..b", '"é..b" is not the name of a zone'),
        ("axfr://[::1/x", "should be axfr://SERVER/ZONE"),
        ("axfr://127.0.0.1:0/x", "the port must be a number from 1 to 65535"),
        ("axfr://127.0.0.1/", "should be axfr://SERVER/ZONE"),
    ],
)
def test_what_no_zone_can_be_called_is_refused(source: str, message: str, capsys: Captured) -> None:
    assert run(["import", source]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("origin", ["a..b", "a" * 70, "../x", "\\999"])
def test_an_origin_that_is_no_name_is_said_to_be_none(origin: str, capsys: Captured) -> None:
    Path("a.zone").write_text("$TTL 60\nwww A 192.0.2.1\n")

    assert run(["import", "a.zone", "--origin", origin]) == 2
    assert "is not the name of a zone" in capsys.readouterr().err
