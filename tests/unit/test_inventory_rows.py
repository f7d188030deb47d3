"""Rows of inventories beside config.toml: what they inherit, whom they give to, and where each problem is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.config.loading import Config, load
from scanner.errors import ConfigError

HEAD = '[[environment]]\nname = "production"\nkind = "on-premises"\n'
INVENTORY = '[[environment.inventory]]\nfrom = "hosts.csv"\n'
CONSOLE = '[[environment.endpoint]]\nhost = "con.example"\nrole = "monitoring"\n'
SHOP = '[[environment.application]]\nname = "Shop"\nkind = "pwa"\nhost = "con.example"\n'
USUAL_PORTS = {
    "[defaults]": "[defaults]\nport = 8443\n" + HEAD,
    "[environment.defaults]": HEAD + "[environment.defaults]\nport = 8443\n",
    "the inner one": "[defaults]\nport = 9443\n" + HEAD + "[environment.defaults]\nport = 8443\n",
}
Captured = pytest.CaptureFixture[str]


def read(folder: Path, config: str, table: str) -> Config:
    (folder / "hosts.csv").write_text(table, "utf-8")
    (folder / "config.toml").write_text(config, "utf-8")
    return load(folder / "config.toml")


def refused(folder: Path, config: str, table: str = "host\n") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, config, table)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("head", USUAL_PORTS.values(), ids=USUAL_PORTS)
@pytest.mark.parametrize("row", ["con.example,,ops", "con.example,8443,ops"])
def test_an_owner_reaches_a_host_whose_port_is_inherited(tmp_path: Path, head: str, row: str) -> None:
    (found,) = read(tmp_path, head + CONSOLE + INVENTORY, f"host,port,owner\n{row}\n").inventory.endpoints

    assert (found.address, found.ownership.owner) == ("con.example:8443", "ops")


def test_another_port_is_another_endpoint(tmp_path: Path) -> None:
    console, other = read(
        tmp_path, USUAL_PORTS["[defaults]"] + CONSOLE + INVENTORY, "host,port,owner\ncon.example,443,ops\n"
    ).inventory.endpoints

    assert [(item.port, item.ownership.owner) for item in (console, other)] == [(8443, None), (443, "ops")]


@pytest.mark.parametrize("head", USUAL_PORTS.values(), ids=USUAL_PORTS)
def test_a_problem_of_a_host_whose_port_is_inherited_is_told_on_its_line(tmp_path: Path, head: str) -> None:
    """The line is the endpoint's own, though its key names the inherited port."""
    bad = '[[environment.endpoint]]\nhost = "mail.example"\nstarttls = "smtp"\n'
    config = head + CONSOLE + bad + INVENTORY
    line = config[: config.index("starttls")].count("\n") + 1

    said = refused(tmp_path, config, "host,owner,paths\na.example,ops,/x\n")

    assert said == [
        f"config.toml:{line}: environment[production].endpoint[mail.example:8443].starttls: is only for servers "
        '(set role = "server")',
        "hosts.csv:2: environment[production].endpoint[a.example:8443].paths: are only for consoles (set role = "
        '"monitoring" or "development"; the paths of an application are its own)',
    ]


def test_of_two_roles_at_one_place_the_one_that_is_wrong_is_told(tmp_path: Path) -> None:
    plain = '[[environment.endpoint]]\nhost = "con.example"\npaths = ["/x"]\n'

    (said,) = refused(tmp_path, HEAD + CONSOLE + plain)

    assert said.startswith(
        "config.toml:9: environment[production].endpoint[con.example:443].paths: are only for consoles"
    )


def test_an_unknown_owner_is_told_on_the_row_that_names_it(tmp_path: Path) -> None:
    config = '[[owner]]\nname = "ops"\n[defaults]\nport = 8443\n' + HEAD + INVENTORY

    (said,) = refused(tmp_path, config, "host,owner\na.example,ops\nb.example,opps\n")

    assert said == (
        'hosts.csv:3: environment[production].endpoint[b.example:8443].owner: there is no [[owner]] "opps" '
        '(did you mean "ops"?)'
    )


def test_a_file_that_is_read_by_other_columns_has_lines_of_its_own(tmp_path: Path) -> None:
    by_name = INVENTORY + 'columns = { host = "name", environment = "stage" }\n'
    by_alias = by_name.replace('"name"', '"alias"')
    config = HEAD + by_name + HEAD.replace("production", "test") + by_alias

    said = refused(tmp_path, config, "name,alias,stage\na.example,x.example,production\n\nb.example,b y,test\n")

    assert said == ["hosts.csv:4: environment[test].endpoint[b y:443].host: is not a host name: 'b y'"]


def test_an_owner_reaches_all_that_is_at_a_host(tmp_path: Path) -> None:
    config = HEAD + CONSOLE + SHOP + 'owner = "shop"\n' + SHOP.replace("Shop", "Store") + INVENTORY

    (found,) = read(tmp_path, config, "host,owner,label.tier\ncon.example,ops,1\n").inventory.endpoints

    assert found.owners == ("shop", "ops")
    assert [item.ownership.owner for item in found.applications] == ["shop", "ops"]
    assert [dict(item.ownership.labels) for item in found.applications] == [{"tier": "1"}, {"tier": "1"}]
    assert found.ownership.owner == "ops"


@pytest.mark.parametrize(
    "rows", ["con.example,,,ops,1\ncon.example,Shop,pwa,,\n", "con.example,Shop,pwa,,\ncon.example,,,ops,1\n"]
)
@pytest.mark.parametrize("console", [CONSOLE, CONSOLE + 'paths = ["/ServiceCenter"]\n', ""])
def test_an_owner_reaches_what_other_rows_add_at_its_host(tmp_path: Path, rows: str, console: str) -> None:
    """A console in config.toml takes nothing from an application that the same table adds."""
    config = '[defaults]\nowner = "platform"\n' + HEAD + console + INVENTORY

    (found,) = read(tmp_path, config, f"host,application,kind,owner,label.tier\n{rows}").inventory.endpoints

    (shop,) = found.applications
    assert (shop.ownership.owner, dict(shop.ownership.labels)) == ("ops", {"tier": "1"})
    assert (found.owners, dict(found.ownership.labels)) == (("ops",), {"tier": "1"})


def test_an_owner_of_a_row_takes_nothing_from_another_row_or_the_configuration(tmp_path: Path) -> None:
    config = HEAD + CONSOLE + 'owner = "platform"\nlabels = { tier = "0" }\n' + INVENTORY
    table = "host,application,kind,owner,contact,label.tier\ncon.example,,,ops,ops@x,1\ncon.example,Shop,pwa,web,,\n"

    (found,) = read(tmp_path, config, table).inventory.endpoints

    assert (found.ownership.owner, dict(found.ownership.labels)) == ("platform", {"tier": "0"})
    (shop,) = found.applications
    assert (shop.ownership.owner, shop.ownership.contact, dict(shop.ownership.labels)) == ("web", None, {"tier": "1"})
    assert found.contact_of("platform") is None, "the row's contact is of the row's owner"


@pytest.mark.parametrize(
    ("row", "console", "application"),
    [
        ("con.example,monitoring,,,ops", "ops", "platform"),
        ("con.example,,Shop,,web", "platform", "web"),
        ("con.example,,Shop,pwa,web", "platform", "web"),
    ],
)
def test_a_row_may_name_the_one_of_several_that_it_means(
    tmp_path: Path, row: str, console: str, application: str
) -> None:
    config = '[defaults]\nowner = "platform"\n' + HEAD + CONSOLE + SHOP + INVENTORY

    (found,) = read(tmp_path, config, f"host,role,application,kind,owner\n{row}\n").inventory.endpoints

    assert found.ownership.owner == console
    assert [item.ownership.owner for item in found.applications] == [application]


def test_two_rows_that_give_different_owners_are_an_error(tmp_path: Path) -> None:
    table = "host,owner\ncon.example,ops\ncon.example,ops\nCON.example.,web\n"

    assert refused(tmp_path, HEAD + CONSOLE + INVENTORY, table) == [
        "hosts.csv:4: CON.example. is already listed at hosts.csv:2, with another owner or other labels (leave one out)"
    ]


def test_every_bad_row_is_told_at_once_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    """A cell, a row, its form and its sense are checked one after the other, and none hides the next."""
    table = (
        "host,port,role,kind,owner\n"
        "=A1,443,,,ops\n"
        "b.example,99999,,,ops\n"
        "c d,443,,,ops\n"
        "e.example,443,,mobil,ops\n"
        "f.example,443,monitoring,pwa,ops\n"
        "g.example,443,,,nobody\n"
        "10.0.0.0/30,443,,,ops\n"
        "h.example,443,,,ops\n"
    )
    said = refused(tmp_path, '[[owner]]\nname = "ops"\n' + HEAD + INVENTORY + CONSOLE + "port = 0\n", table)

    assert [line.partition(": ")[0] for line in said] == [
        "config.toml:11", *(f"hosts.csv:{line}" for line in range(2, 9)),
    ]  # fmt: skip


def test_of_many_bad_rows_the_first_are_told_and_how_many_more(tmp_path: Path) -> None:
    rows = "".join(f"h{number}.example,{'x' if number < 55 else 443}\n" for number in range(60))

    said = refused(tmp_path, HEAD + INVENTORY, f"host,port\n{rows}")

    assert [line.partition(": ")[0] for line in said] == [*(f"hosts.csv:{line}" for line in range(2, 22)), "hosts.csv"]
    assert said[-1] == "hosts.csv: and 35 more"


def test_the_bad_rows_of_all_files_are_told_by_an_import(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("host,port\nb c,1\nd.example,0\n", "utf-8")
    (tmp_path / "b.csv").write_text("hst\nx\n", "utf-8")
    (tmp_path / "c.txt").write_text("e f\ng.example\n", "utf-8")

    assert run(["import", "a.csv", "b.csv", "c.txt", "gone.txt", "-o", "out.toml"]) == 2

    said = [line.removeprefix("nightseal: ") for line in capsys.readouterr().err.splitlines()]
    assert "or --column host=…, names your own" in said[0], "an import has no configuration to write columns into"
    assert [line.partition(": ")[0] for line in said] == ["b.csv:1", "gone.txt", "a.csv:2", "a.csv:3", "c.txt:1"]
    assert not (tmp_path / "out.toml").exists()


def test_what_is_compared_inherits_as_what_it_is_compared_with(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read(tmp_path, USUAL_PORTS["[environment.defaults]"] + CONSOLE + INVENTORY, "host\na.example\n")
    (tmp_path / "new.txt").write_text("a.example\ncon.example\nb.example\n", "utf-8")

    assert run(["import", "new.txt", "--diff", "--environment", "production"]) == 0

    assert capsys.readouterr().out.splitlines() == ["+ production/b.example:8443"]


@pytest.mark.parametrize(
    ("network", "hosts"),
    [("10.0.0.0/30", 2), ("10.0.0.0/31", 2), ("10.0.0.1/32", 1), ("10.0.0.0/24", 254), ("2001:db8::/126", 4)],
)
def test_the_hosts_of_a_network_are_counted_in_one_way(
    network: str, hosts: int, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `scan` says, what `import` says, the number that --expand takes, and what comes out of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks.txt").write_text(f"{network}\n", "utf-8")
    noun = "host" if hosts == 1 else "hosts"

    assert run(["scan", network]) == 2
    assert f'"{network}" is a network of {hosts} {noun} (' in capsys.readouterr().err
    assert run(["import", "networks.txt"]) == 2
    assert f'"{network}" is a network of {hosts} {noun} (--expand {hosts} takes them)' in capsys.readouterr().err
    assert run(["import", "networks.txt", "--expand", str(hosts), "--to", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + hosts


@pytest.mark.parametrize(
    "network", ["::/0", "10.0.0.0/8", "2001:db8::/64", "10.0.0.0-10.255.0.0", "10.0.0.0/16\n10.1.0.0/29"]
)
def test_nothing_is_offered_that_is_refused(
    network: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks.txt").write_text(f"{network}\n" * 3, "utf-8")

    assert run(["import", "networks.txt"]) == 2

    said = capsys.readouterr().err
    assert "at most 65536 can be taken (leave out what is not scanned)" in said
    assert "--expand" not in said
    config = HEAD + '[[environment.inventory]]\nfrom = "networks.txt"\n'
    assert not any("expand" in line for line in refused(tmp_path, config))


def test_a_row_of_several_environments_is_told_once(tmp_path: Path) -> None:
    config = HEAD + INVENTORY + HEAD.replace("production", "test") + INVENTORY

    said = refused(tmp_path, config, "host,port,owner\na b,443,\nc.example,0,\nd.example,443,@SUM(1)\n")

    assert [line.partition(": ")[0] for line in said] == ["hosts.csv:2", "hosts.csv:3", "hosts.csv:4"]


@pytest.mark.parametrize("column", ["host", "application", "owner", "contact", "port", "label.x", "labels"])
def test_a_cell_of_several_lines_makes_an_error_of_one(tmp_path: Path, column: str) -> None:
    cells = {"host": "a.example", "kind": "pwa", column: "a\nb c\x1b[31m\r"}
    table = f"{','.join(cells)}\n" + ",".join(f'"{cell}"' for cell in cells.values())

    said = refused(tmp_path, HEAD + INVENTORY, table + "\n")

    assert all(line.startswith("hosts.csv:2: ") for line in said)
    assert "\x1b" not in "".join(said)


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(1)", "+SUM(A1)", "-HYPERLINK(1)", "=cmd|'/c calc'!A1"])
def test_what_a_spreadsheet_computes_is_said_to_be_a_formula(tmp_path: Path, cell: str) -> None:
    (said,) = refused(tmp_path, HEAD + INVENTORY, f'host,contact\na.example,"{cell}"\n')

    assert said == "hosts.csv:2: contact: is a formula (paste its value instead)"


def test_what_begins_like_a_formula_and_is_none_is_text(tmp_path: Path) -> None:
    table = "host,contact\na.example,+351 123 456\nb.example,@team-payments\nc.example,-\n"

    found = read(tmp_path, HEAD + INVENTORY, table).inventory.endpoints

    assert [item.ownership.contact for item in found] == ["+351 123 456", "@team-payments", "-"]


@pytest.mark.parametrize("line", ["host", "# ours\n\nHost", "FQDN", "host,owner", "Host name", "host;port"])
def test_a_heading_of_a_plain_list_is_no_host(tmp_path: Path, line: str) -> None:
    (tmp_path / "hosts.txt").write_text(f"{line}\na.example\n", "utf-8")

    (said,) = refused(tmp_path, HEAD + INVENTORY.replace("csv", "txt"))

    assert 'names columns, not a host (leave the line out, or read a table: --from csv, or format = "csv"' in said


def test_a_host_that_is_called_as_columns_are_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "hosts.txt").write_text("host:443\nowner\n", "utf-8")

    config = read(tmp_path, HEAD + INVENTORY.replace("csv", "txt"), "")

    assert [item.host for item in config.inventory.endpoints] == ["host", "owner"]


@pytest.mark.parametrize(
    ("rows", "hosts"),
    [
        (["10.0.0.0/30", "10.0.0.0/29"], 6),
        (["10.0.0.1-9", "10.0.0.5-12"], 12),
        (["10.0.0.1-4", "10.0.0.5-8", "10.0.0.1-8"], 8),
        (["10.0.0.0/30", "10.0.0.1", "10.0.0.9"], 3),
        (["10.0.0.9", "10.0.0.0/30", "10.0.0.0/30"], 3),
        (["2001:db8::/126", "2001:db8::2-2001:db8::9"], 10),
    ],
)
def test_what_two_networks_have_is_counted_and_taken_once(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, rows: list[str], hosts: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("host\n" + "".join(f"{row}\n" for row in rows), "utf-8")

    assert run(["import", "a.csv"]) == 2
    assert f"(--expand {hosts} takes them)" in capsys.readouterr().err
    assert run(["import", "a.csv", "--expand", str(hosts), "--to", "csv"]) == 0
    written = capsys.readouterr().out.splitlines()[1:]
    assert len(written) == len(set(written)) == hosts


def test_a_row_of_its_own_says_more_of_a_host_than_its_network(tmp_path: Path) -> None:
    inventory = INVENTORY + "expand = true\nexpected_count = 3\n"
    table = "host,port,owner\n10.0.0.0/30,443,net\n10.0.0.2,443,ops\n10.0.0.2,8443,\n"

    found = read(tmp_path, HEAD + inventory, table).inventory.endpoints

    assert {item.address: item.ownership.owner for item in found} == {
        "10.0.0.1:443": "net", "10.0.0.2:443": "ops", "10.0.0.2:8443": None,
    }  # fmt: skip


def test_what_is_compared_with_an_environment_that_is_not_there_is_refused(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read(tmp_path, HEAD + CONSOLE + HEAD.replace("production", "test"), "host\n")
    (tmp_path / "new.txt").write_text("a.example\n", "utf-8")

    assert run(["import", "new.txt", "--diff", "-e", "nope"]) == 2
    assert 'config.toml has no environment "nope" to compare with (it has: production, test)' in capsys.readouterr().err
    assert run(["import", "new.txt", "--diff", "-e", "prodution"]) == 2
    assert 'did you mean "production"?' in capsys.readouterr().err
