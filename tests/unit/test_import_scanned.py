"""What scanners and tables say that is no host to take: closed ports, reverse names, paths, labels twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.errors import ConfigError
from scanner.inventories import Contents, Options, expanded, read

STATE = (
    '{"version": 4, "resources": [{"mode": "managed", "module": "module.net", "type": "aws_lb", "name": "front", %s}]}'
)
TLSX = '{"host": "a.example", "port": "443", "probe_status": '


def hosts(contents: Contents) -> list[str]:
    return [f"{host}:{port}" for host, port in (row.place for row in contents.rows)]


def left_out(contents: Contents) -> list[str]:
    return [f"{reason.counted(count)}: {told[0]}" for reason, (count, told) in contents.left_out.items()]


def test_reverse_names_stand_for_no_scanned_address() -> None:
    host = (
        '<host><address addr="192.0.2.{0}" addrtype="ipv4"/><hostnames><hostname name="lb.example" type="PTR"/></hostnames>'
        '<ports><port protocol="tcp" portid="443"><state state="open"/></port></ports></host>'
    )
    found = read("a.xml", f"<nmaprun>{host.format(1)}{host.format(2)}</nmaprun>".encode(), Options())

    assert hosts(found) == ["192.0.2.1:443", "192.0.2.2:443"]
    assert left_out(found) == ["2 reverse names in place of a scanned address: lb.example of 192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        (
            '{"ip": "192.0.2.1", "ports": [{"port": 443, "proto": "tcp", "status": "closed"}]}\n'
            '{"ip": "192.0.2.1", "ports": [{"port": 8443, "proto": "tcp", "status": "open"}]}',
            ["192.0.2.1:8443"],
            ["1 port that is not open: 192.0.2.1:443"],
        ),
        (f"{TLSX}false}}\n", [], ["1 port at which tlsx got no answer: a.example:443"]),
        (f"{TLSX}true}}\n", ["a.example:443"], []),
        ('{"ip": "192.0.2.1", "port": {"Port": 443, "Protocol": 0, "TLS": false}}', ["192.0.2.1:443"], []),
        ('{"ip": "192.0.2.1", "port": {"Port": 443, "Protocol": 1}}', [], ["1 port other than TCP: 192.0.2.1:443"]),
        ('{"ip": "192.0.2.1", "ports": [{"port": 443}]},\n{finished: 1}\n', ["192.0.2.1:443"], []),
    ],
)
def test_lines_of_port_scanners(text: str, expected: list[str], told: list[str]) -> None:
    found = read("a.jsonl", text.encode(), Options())

    assert (hosts(found), left_out(found)) == (expected, told)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "host,labels\na.example,tier=1;tier=2\n", 'a.csv:2: labels: says "tier" twice (leave one out)'),
        ("a.csv", "host,label.a,labels\na.example,1,a=1\n", 'a.csv:2: labels: says "a" twice (leave one out)'),
        ("a.txt", "a.example/shop\n", 'a.txt:1: "a.example/shop" is more than a host (write only a.example; paths are'),
        ("a.txt", "https://a.example:8443/x/1\n", "(write only a.example:8443; paths are in the column paths of a table)"),
    ],
)  # fmt: skip
def test_rows_that_would_lose_something_are_refused(name: str, text: str, expected: str) -> None:
    found = read(name, text.encode(), Options())

    assert found.rows == []
    (problem,) = found.problems
    assert expected in str(ConfigError(name, [problem]))


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("sslyze", '{"server_scan_results": [{"server_location": [1]}]}', "a.json: element 1 of server_scan_results: has no hostname and port"),
        ("crt.sh", '[{"name_value": "a.example"}, {"x": 1}]', "a.json: element 2: has no name_value"),
        ("zone", "$ORIGIN a.example.\nw 60 IN A 192.0.2.1\nsub 60 IN SOA ns h 1 2 3 4 5\n", "a.json: has an SOA record of another zone than a.example. (one zone a file; or say its origin: --origin)"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_by_its_element(form: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("a.json", text.encode(), Options(), form)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("testssl", '[{"id": "a", "ip": "a.example/192.0.2.1", "port": "443"}, {"ip": "x"}]', 'element 2: has no "id"'),
        ("testssl", "[7]", "element 1: is not an object"),
        ("testssl", '[{"id": "a", "ip": "a.example/", "port": "99999"}]', 'element 1: has the port "99999"'),
        ("testssl", '{"scanResult": [{}, 7]}', "element 2 of scanResult: is not an object"),
        ("sslyze", '{"server_scan_results": [[]]}', "element 1 of server_scan_results: is not an object"),
        ("terraform", '{"version": 4, "resources": [{}, 7]}', "element 2 of resources: is not an object"),
        ("terraform", STATE % '"instances": 7', "module.net.aws_lb.front: has instances that are not a list"),
        ("terraform", STATE % '"instances": [{}]', "module.net.aws_lb.front: has no attributes"),
        ("terraform", STATE % '"instances": [{"index_key": "eu"}]', 'module.net.aws_lb.front["eu"]: has no attributes'),
        ("prometheus", "- targets: [a.example]\n- labels: {a: b}\n", "a.x:2: has no targets"),
        ("prometheus", "- targets: [a.example]\n- 7\n", "a.x:2: is not an object"),
        ("prometheus", "- targets: [a.example]\n- labels: {a: b}\n  targets: b.example\n", 'a.x:3: has "targets" that'),
        ("prometheus", "- labels: [a]\n  targets:\n  - b.example\n", 'a.x:1: has "labels" that'),
        ("prometheus", "- targets:\n  - a.example\n  - 7\n", "a.x:3: is not text"),
        ("prometheus", '[{"targets":\n["a.example",\n7]}]', "a.x:3: is not text"),
        ("prometheus", '[\n\t{"targets": ["a.example", 7]}]', "a.x:2: is not text"),
    ],
)
def test_what_is_none_of_its_form_is_told_by_where_it_is(form: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("a.x", text.encode(), Options(), form)
    assert f"a.x: {expected}" in str(caught.value) or str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("name", "form", "text", "expected"),
    [
        ("a.json", "testssl", '[{"id": "a", "ip": "a.example/", "port": "443"}, {"id": "b", "ip": "b c/", "port": "443"}]', "a.json: element 2: "),
        ("a.json", "testssl", '{"scanResult": [{"targetHost": "b c", "port": "443"}]}', "a.json: element 1 of scanResult: "),
        ("a.json", "sslyze", '{"server_scan_results": [{"server_location": {"hostname": "b c", "port": 443}}]}', "a.json: element 1 of server_scan_results: "),
        ("a.yaml", "prometheus", "- targets:\n  - a.example\n  - b c\n", "a.yaml:3: "),
    ],
)  # fmt: skip
def test_a_host_that_is_none_is_told_by_where_it_is(  # noqa: PLR0913, PLR0917  # a file, and where it is told
    name: str, form: str, text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text, "utf-8")

    assert run(["import", name, "--from", form]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"nightseal: {expected}")
    assert "is not a host name: 'b c'" in said


def test_a_name_in_a_state_that_is_none_is_told_by_its_address() -> None:
    text = STATE % '"instances": [{"index_key": 0, "attributes": {"dns_name": "b c"}}]'
    found = read("a.tfstate", text.encode(), Options())

    assert left_out(found) == ["1 entry in place of a host name: module.net.aws_lb.front[0]: b c"]


def test_what_testssl_says_of_itself_is_no_host() -> None:
    text = (
        '[{"id": "engine_problem", "ip": "/", "port": "443"}, {"id": "a", "ip": "a.example/192.0.2.1", "port": "443"}]'
    )

    assert hosts(read("a.json", text.encode(), Options(), "testssl")) == ["a.example:443"]


def test_servers_to_which_sslyze_could_not_connect_are_no_hosts() -> None:
    item = '{"scan_status": "%s", "server_location": {"hostname": "%s", "port": 443}}'
    listed = ", ".join([item % ("COMPLETED", "a.example"), item % ("ERROR_NO_CONNECTIVITY", "b.example")])
    found = read("a.json", f'{{"server_scan_results": [{listed}]}}'.encode(), Options())

    assert hosts(found) == ["a.example:443"]
    assert left_out(found) == ["1 server to which sslyze could not connect: b.example:443"]


def test_labels_of_prometheus_are_as_prometheus_has_them() -> None:
    text = "- targets: [a.example]\n  labels: {up: true, due: 2026-11-30, tier: 1, none: }\n"
    (row,) = read("a.yaml", text.encode(), Options(), "prometheus").rows

    assert row.values["labels"] == {"up": "true", "due": "2026-11-30", "tier": "1"}


def test_more_addresses_than_can_be_taken_are_not_said_to_be_another_number() -> None:
    found = read("a.txt", b"10.0.0.0/8\n", Options())

    (problem,) = expanded(found, agreed=16_777_214, how="{count}").problems

    assert problem.message == "comes to 16777214 hosts with its networks, and at most 65536 can be taken"
