"""Several inventories of one environment, read at each run: what they say of one host is put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.config.loading import Config, load
from scanner.errors import ConfigError

HEAD = '[[environment]]\nname = "production"\nkind = "on-premises"\n'
Captured = pytest.CaptureFixture[str]


def read(folder: Path, files: dict[str, str], head: str = HEAD) -> Config:
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    text = head + "".join(f'[[environment.inventory]]\nfrom = "{name}"\n' for name in files)
    (folder / "config.toml").write_text(text, "utf-8")
    return load(folder / "config.toml")


def refused(folder: Path, files: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, files)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_a_list_a_zone_and_a_cluster_name_one_host(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        {
            "hosts.csv": "host,owner,label.tier\na.example,ops,1\nb.example,web,\n",
            "example.zone": "$ORIGIN example.\n$TTL 1\n@ SOA n h 1 2 3 4 5\n@ NS n\na A 192.0.2.1\nB A 192.0.2.2\n",
            "in.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: n}\n"
            "spec: {rules: [{host: a.example}, {host: c.example}], tls: [{secretName: s}]}\n",
        },
    )

    found = {item.host: item.ownership for item in config.inventory.endpoints}
    assert list(found) == ["a.example", "b.example", "c.example"]
    assert found["a.example"].owner == "ops"
    assert found["a.example"].labels == (("namespace", "n"), ("tier", "1"))
    assert found["b.example"].owner == "web"
    assert [(item.hosts, Path(item.name).name) for item in config.inventory.environments[0].sources] == [
        (2, "hosts.csv"),
        (2, "example.zone"),
        (2, "in.yaml"),
    ], "each file is counted whole"


def test_what_names_no_port_is_at_the_usual_one(tmp_path: Path) -> None:
    head = HEAD + "[environment.defaults]\nport = 8443\n"
    config = read(tmp_path, {"a.csv": "host,owner\nA.example.,ops\n", "b.txt": "a.example:8443\na.example:443\n"}, head)

    assert [(item.address, item.ownership.owner) for item in config.inventory.endpoints] == [
        ("a.example:8443", "ops"),
        ("a.example:443", None),
    ]


BARE = "host,owner,label.x,label.y\nh.example,ops,1,1\n"


@pytest.mark.parametrize("bare_first", [True, False])
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("host,http_port,owner,label.x\nh.example,8080,,\n", ("ops", {"x": "1", "y": "1"})),
        ("host,http_port,owner,label.x\nh.example,8080,own,2\n", ("own", {"x": "2", "y": "1"})),
    ],
)
def test_of_a_host_that_one_file_only_names_the_other_says_more(
    *, bare_first: bool, more: str, expected: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    files = {"bare.csv": BARE, "more.csv": more}
    config = read(tmp_path, files if bare_first else dict(reversed(files.items())))

    (found,) = config.inventory.endpoints
    assert found.http_port == 8080
    assert (found.ownership.owner, dict(found.ownership.labels)) == expected


@pytest.mark.parametrize("bare_first", [True, False])
def test_whose_a_host_is_reaches_what_another_file_says_is_there(*, bare_first: bool, tmp_path: Path) -> None:
    apps = "host,application,kind,owner\nh.example,A,pwa,\nh.example,B,service,own\n"
    files = {"bare.csv": BARE, "apps.csv": apps}
    config = read(tmp_path, files if bare_first else dict(reversed(files.items())))

    (found,) = config.inventory.endpoints
    assert {item.name: item.ownership.owner for item in found.applications} == {"A": "ops", "B": "own"}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            "host,owner\nh.example,ops\n",
            "host,owner\nH.example,web\n",
            ['b.csv:2: owner: of H.example is "web", and at a.csv:2 it is "ops" (make them the same, or empty one)'],
        ),
        (
            "host,role,paths\nh.example,monitoring,/a\n",
            "host,role,paths\nh.example,monitoring,/b\n",
            ['b.csv:2: paths: of h.example is "/b", and at a.csv:2 it is "/a" (make them the same, or empty one)'],
        ),
        (
            "host,owner\nh.example,ops\n",
            "host,http_port\nh.example,8080\nh.example,8081\n",
            ["b.csv:3: h.example is already listed at b.csv:2 (leave one out)"],
        ),
        (
            "host,owner\nh.example,ops\n",
            "host,http_port\nh.example,99999\n",
            [
                "b.csv:2: environment[production].endpoint[h.example:443].http_port: should be less than or equal to "
                '65535, not "99999"'
            ],
        ),
    ],
)
def test_what_files_say_otherwise_is_told_with_both_places(
    first: str, second: str, expected: list[str], tmp_path: Path
) -> None:
    assert refused(tmp_path, {"a.csv": first, "b.csv": second}) == expected


def test_the_name_of_an_environment_is_the_same_in_any_case(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        {"a.csv": "host,environment\nh.example,Production\n", "b.csv": "host,environment\nh.example,production\n"},
    )

    assert [item.host for item in config.inventory.endpoints] == ["h.example"]


INGRESSES = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: some}
spec: {rules: [{host: a.example}, {host: b.example}, {host: "*.w.example"}], tls: [{hosts: [a.example]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: wide}
spec: {rules: [{host: c.example}, {host: d.e.example}], tls: [{hosts: ["*.example"]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: all}
spec: {rules: [{host: f.example}], tls: [{secretName: s}]}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: r}
spec: {host: g.example}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: s}
spec: {host: h.example, tls: {termination: edge}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: t}
spec: {routes: [{match: "Host(`i.example`)"}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: u}
spec: {routes: [{match: "Host(`j.example`)"}], tls: {}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: v}
spec: {parentRefs: [{name: elsewhere}], hostnames: [k.example]}
"""
ASSUMED = [
    "2 hosts of an Ingress without tls for it: Ingress default/some b.example, Ingress default/wide d.e.example",
    "1 host of a Route without tls: Route default/r g.example",
    "1 host of an IngressRoute without tls: IngressRoute default/t i.example",
    "1 host of a route whose gateway is not in the file: HTTPRoute default/v k.example",
]


def test_hosts_of_which_nothing_says_that_they_have_tls_are_taken_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    config = read(Path(), {"in.yaml": INGRESSES})
    assert len(config.inventory.endpoints) == len("abcdfghijk")

    told = [f"taken at 443, though nothing says that TLS is there: {text}" for text in ASSUMED]
    wildcard = "left out: 2 wildcards in place of a host name: *.w.example, *.example"
    assert run(["config", "check"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"in.yaml: note: {text}" for text in [wildcard, *told]]
    assert said.out.rstrip().endswith("all is well."), "notes are no warnings"

    assert run(["import", "in.yaml"]) == 0
    assert [line.strip() for line in capsys.readouterr().err.splitlines()] == ["in.yaml: 10 hosts", wildcard, *told]


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.json"])
def test_a_port_of_https_that_is_said_is_no_other_by_default(name: str, tmp_path: Path) -> None:
    text = {
        "a.csv": "host,port\nh.example,443\n",
        "a.txt": "h.example:443\n",
        "a.json": '{"ip":"192.0.2.1","timestamp":"1","ports":[{"port":443,"proto":"tcp","status":"open"}]}\n',
    }[name]
    config = read(tmp_path, {name: text}, HEAD + "[environment.defaults]\nport = 8443\n")

    assert [item.port for item in config.inventory.endpoints] == [443]


@pytest.mark.parametrize(("defaults", "written"), [("", "host\n"), ("[defaults]\nport = 8443\n", "host,port\n")])
def test_a_port_of_https_is_written_where_the_configuration_has_another(
    defaults: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(defaults + HEAD, "utf-8")
    Path("a.txt").write_text("h.example:443\n", "utf-8")

    assert run(["import", "a.txt", "-e", "production", "--to", "csv"]) == 0
    assert capsys.readouterr().out.startswith(written)
