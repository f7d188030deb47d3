"""What scanners and tables say that is no host to take: closed ports, reverse names, paths, labels twice."""

from __future__ import annotations

import pytest

from scanner.errors import ConfigError
from scanner.inventories import Contents, Options, expanded, read

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
        ("sslyze", '{"server_scan_results": [{"server_location": [1]}]}', "a.json: server_scan_results[1] has no hostname and port"),
        ("crt.sh", '[{"name_value": "a.example"}, {"x": 1}]', "a.json: element 2 of the list has no name_value"),
        ("zone", "$ORIGIN a.example.\nw 60 IN A 192.0.2.1\nsub 60 IN SOA ns h 1 2 3 4 5\n", "a.json: has an SOA record of another zone than a.example. (one zone a file; or say its origin: --origin)"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_by_its_element(form: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("a.json", text.encode(), Options(), form)
    assert expected in str(caught.value)


def test_more_addresses_than_can_be_taken_are_not_said_to_be_another_number() -> None:
    found = read("a.txt", b"10.0.0.0/8\n", Options())

    (problem,) = expanded(found, agreed=16_777_214, how="{count}").problems

    assert problem.message == "comes to 16777214 hosts with its networks, and at most 65536 can be taken"
