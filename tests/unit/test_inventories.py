"""`[[environment.inventory]]`: hosts of spreadsheets and lists, read with the configuration; and what is wrong in them."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest

from scanner.app.cli import run
from scanner.config.loading import Config, load, parse
from scanner.errors import ConfigError
from scanner.inventory import ApplicationKind, HttpsLevel, Role, StartTls
from scanner.ownership import Ownership

HEAD = '[[environment]]\nname = "production"\nkind = "on-premises"\n'


def inventory(name: str, *keys: str) -> str:
    return "\n".join(["[[environment.inventory]]", f'from = "{name}"', *keys, ""])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(HEAD + inventory("hosts.csv"), "utf-8")
    return tmp_path


def read(folder: Path, hosts: str | bytes, name: str = "hosts.csv", config: str | None = None) -> Config:
    (folder / name).write_bytes(hosts if isinstance(hosts, bytes) else hosts.encode())
    if config is not None:
        (folder / "config.toml").write_text(config, "utf-8")
    return load(folder / "config.toml")


def refused(folder: Path, hosts: str | bytes, name: str = "hosts.csv", config: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, hosts, name, config)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def workbook(rows: list[list[object]], sheet: str = "Hosts") -> bytes:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def addresses(config: Config) -> list[str]:
    return [item.address for item in config.inventory.endpoints]


TABLE = """Host,Port,Role,Application,Kind,HTTPS,Paths,Owner,Contact,label.tier,labels
shop.example,,,Shop,reactive-web,tls,/Shop/Checkout /Shop/Cart,payments,pay@example.com,1,"site=a; pci=yes"
con.example,8443,monitoring,,,,/ServiceCenter,operations,,,
mail.example,25,,,,,,,,,
[2001:db8::1],,,,,,,,,,
"""


def test_a_table_is_read_by_the_names_of_its_columns(folder: Path) -> None:
    console, mail, address, shop = read(folder, TABLE).inventory.endpoints

    assert shop.applications[0].name == "Shop"
    assert shop.applications[0].kind is ApplicationKind.REACTIVE_WEB
    assert [item.path for item in shop.applications[0].paths] == ["/Shop/Checkout", "/Shop/Cart"]
    assert shop.ownership == Ownership("payments", "pay@example.com", (("pci", "yes"), ("site", "a"), ("tier", "1")))
    assert (console.address, console.consoles[0].paths) == ("con.example:8443", ("/ServiceCenter",))
    assert (mail.role, mail.starttls) == (Role.SERVER, StartTls.SMTP), "by its port, as `scan` reads it"
    assert address.host == "2001:db8::1"


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_tables_as_spreadsheets_of_other_countries_write_them(folder: Path, separator: str, mark: bytes) -> None:
    text = 'host,port,owner\r\na.example,8443,"Smith, Sons"\r\nb.example,,\r\n'
    data = mark + text.replace(",", separator).replace(f"Smith{separator}", "Smith,").encode()

    config = read(folder, data)

    assert addresses(config) == ["a.example:8443", "b.example:443"]
    assert config.inventory.endpoints[0].ownership.owner == "Smith, Sons"
    (line,) = refused(folder, data.replace(b"Smith,", b"Smith\r\n"))
    assert line.startswith("hosts.csv:2: environment[production].endpoint[a.example:8443].owner: holds U+000D")


def test_a_workbook_is_read_as_a_table(folder: Path) -> None:
    data = workbook([["host", "port", "label.tier", None], [], ["a.example", 8443, 1.0], ["b.example", None, None]])
    config = read(folder, data, "hosts.xlsx", HEAD + inventory("hosts.xlsx", 'sheet = "Hosts"'))

    assert addresses(config) == ["a.example:8443", "b.example:443"]
    assert config.inventory.endpoints[0].ownership.labels == (("tier", "1"),)


def test_days_and_times_of_a_workbook_are_iso_8601(folder: Path) -> None:
    cells = [date(2026, 11, 30), datetime(2026, 11, 30), datetime(2026, 11, 30, 8, 15), time(8, 15)]  # noqa: DTZ001  # Excel has no zones
    data = workbook([["host", "label.a", "label.b", "label.c", "label.d"], ["a.example", *cells]])
    config = read(folder, data, "hosts.xlsx", HEAD + inventory("hosts.xlsx"))

    assert dict(config.inventory.endpoints[0].ownership.labels) == {
        "a": "2026-11-30", "b": "2026-11-30", "c": "2026-11-30T08:15:00", "d": "08:15:00",
    }  # fmt: skip


def test_a_plain_list(folder: Path) -> None:
    text = "# ours\na.example\nb.example:8443  # the other one\n\n[2001:db8::1]:443\nhttps://c.example/\nmail.example:587\n"
    config = read(folder, text, "hosts.txt", HEAD + inventory("hosts.txt"))

    assert addresses(config) == [
        "a.example:443", "b.example:8443", "[2001:db8::1]:443", "c.example:443", "mail.example:587",
    ]  # fmt: skip
    assert config.inventory.endpoints[-1].starttls is StartTls.SMTP


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("FQDN,Team", ["host", "owner"]),
        ("Host name,port,E-Mail,Stage", ["host", "contact", "environment"]),
        ("IP;Tags", ["host", "labels"]),
    ],
)
def test_columns_as_people_call_them_are_guessed_and_the_offer_is_one_that_is_taken(
    folder: Path, head: str, expected: list[str]
) -> None:
    names = re.split("[,;]", head)
    cells = {"port": "443", "Tags": "tier=1", "Stage": "production"}
    row = ("," if "," in head else ";").join(cells.get(name, "a.example") for name in names)
    said = refused(folder, f"{head}\n{row}\n", "hosts.csv", HEAD + inventory("hosts.csv"))

    assert [line.partition("did you mean ")[2].partition("?")[0] for line in said] == [f'"{key}"' for key in expected]
    (offer,) = {line.partition("? ")[2].partition(", or --column")[0] for line in said}
    assert addresses(read(folder, f"{head}\n{row}\n", "hosts.csv", HEAD + inventory("hosts.csv", offer))) == [
        "a.example:443"
    ]


def test_columns_with_names_of_their_own(folder: Path) -> None:
    config = HEAD + inventory("hosts.csv", 'columns = { host = "FQDN", owner = "Team", "label.site" = "Where" }')
    text = "No.,fqdn,Team,Where,Remarks\n1,a.example,payments,Lisbon,=SUM(A1)\n"

    (found,) = read(folder, text, config=config).inventory.endpoints

    assert (found.host, found.ownership) == ("a.example", Ownership("payments", None, (("site", "Lisbon"),)))
    assert refused(folder, "Name,Team,Where\nx,y,z\n", config=config) == ['hosts.csv:1: has no column "FQDN"']


def test_rows_inherit_and_what_the_configuration_says_itself_is_not_said_again(folder: Path) -> None:
    config = (
        '[defaults]\nowner = "platform"\nhttps = "none"\n'
        + HEAD
        + inventory("hosts.csv")
        + '[[environment.endpoint]]\nhost = "con.example"\nrole = "monitoring"\nlabels = { tier = "0" }\n'
        + '[[environment.application]]\nname = "Web"\nkind = "traditional-web"\nhost = "web.example"\nowner = "web"\n'
    )
    table = (
        "host,application,kind,owner,label.tier,label.site\nCON.example.,,,ops,1,a\nweb.example,,,ops,1,\n"
        "new.example,New,traditional-web,,,\nweb.example,Second,traditional-web,,,\n"
    )

    console, web, new = read(folder, table, config=config).inventory.endpoints

    assert (console.role, console.ownership) == (
        Role.MONITORING,
        Ownership("ops", None, (("site", "a"), ("tier", "0"))),
    )
    assert web.ownership.owner == "web"
    assert [item.name for item in web.applications] == ["Web", "Second"]
    assert (new.ownership.owner, new.applications[0].https) == ("platform", HttpsLevel.NONE)


def test_it_is_read_anew_each_time_and_counts_for_the_digest(folder: Path) -> None:
    first = read(folder, "host\na.example\n")
    again = load(folder / "config.toml")
    (folder / "hosts.csv").write_text("host\na.example\nb.example\n", "utf-8")
    # As the service does, which keeps the text that it has read.
    later = parse(first.text, source=first.source, folder=first.folder)

    assert again.digest == first.digest
    assert addresses(later) == ["a.example:443", "b.example:443"]
    assert later.digest != first.digest
    assert [path.name for path in first.files] == ["config.toml", "hosts.csv"], "so that the service watches it"


def test_each_environment_takes_its_rows_and_what_none_takes_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "host,environment\na.example,Production\nb.example,test\nc.example,\nold.example,legacy\n"
    config = read(
        folder,
        table,
        config=HEAD
        + inventory("hosts.csv", "expected_count = 9")
        + HEAD.replace("production", "test")
        + inventory("hosts.csv"),
    )
    production, test = config.inventory.environments

    assert [item.host for item in production.endpoints] == ["a.example", "c.example"]
    assert [item.host for item in test.endpoints] == ["b.example", "c.example"], "a row that names none is everybody's"
    assert (production.sources[0].hosts, production.sources[0].expected) == (2, 9)
    (left,) = config.inventory.untaken
    assert (left.host, left.environment) == ("old.example", "legacy")
    run(["config", "check", "--config", str(folder / "config.toml")])
    said = capsys.readouterr().err
    assert (
        "config.toml:6: warning: environment[production].inventory[hosts.csv].expected_count: is 9, and the file has "
        "2 hosts of this environment" in said.replace(f"{folder}/", "")
    )
    assert 'hosts.csv:5: warning: old.example:443 is in the environment "legacy", which does not read this file' in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["hosts.csv:1: is empty (its first row names the columns: host, port, owner, …)"]),
        ("name;port\na;1\n", ['hosts.csv:1: has a column "name", which means nothing (known: host, port, ']),
        ("host,prot\na.example,1\n", ['hosts.csv:1: has a column "prot", which means nothing (did you mean "port"? columns = ']),
        ("port,owner\n1,x\n", ['hosts.csv:1: has no column "host" (the first row names the columns; ']),
        ("host,port,Port\na.example,1,2\n", ['hosts.csv:1: has two columns for "port"']),
        ("host,port\na.example,1\n\nb.example,1,2\n", ["hosts.csv:4: has 3 cells, and there are names of 2 columns"]),
        ("host,port\n,8443\n", ["hosts.csv:2: host: is empty"]),
        (
            'host,port\na b,1\n"c\n",2\nb.example,99999\nc.example,x\n',
            [
                "hosts.csv:2: environment[production].endpoint[a b:1].host: is not a host name: 'a b'",
                "hosts.csv:5: environment[production].endpoint[b.example:99999].port: should be less than or equal to 65535",
                "hosts.csv:6: environment[production].endpoint[c.example:x].port: should be a",
            ],
        ),
        ("host\na b\n", ["hosts.csv:2: environment[production].endpoint[a b:443].host: is not a host name: 'a b'"]),
        ('host\n=HYPERLINK("x")\n', ["hosts.csv:2: host: is a formula (paste its value instead)"]),
        ("host,owner\na.example:8443,x\n", ['hosts.csv:2: host: "a.example:8443" is a host with its port (write a.example there, and 8443 in the column port)']),
        ("host\n[::1]:8443\n", ['hosts.csv:2: host: "[::1]:8443" is a host with its port (write [::1] there, and 8443 in the column port)']),
        ("host\n10.0.0.0/33\n", ["hosts.csv:2: environment[production].endpoint[10.0.0.0/33:443].host: is not a network: '10.0.0.0/33' (the mask after the slash is a number from 0 to 32)"]),
        ("host\n10.0.0.0/255.0.255.0\n", ["hosts.csv:2: environment[production].endpoint[10.0.0.0/255.0.255.0:443].host: is not a network: '10.0.0.0/255.0.255.0' (the mask after the slash is a number from 0 to 32)"]),
        ("host\nfe80::/129\n", ["hosts.csv:2: environment[production].endpoint[fe80::/129:443].host: is not a network: 'fe80::/129' (the mask after the slash is a number from 0 to 128)"]),
        ("host\n10.0.0.9-1\n", ["hosts.csv:2: environment[production].endpoint[10.0.0.9-1:443].host: is not an IP address but a range: '10.0.0.9-1' (it ends before it begins, at 10.0.0.1)"]),
        ("host,owner\na.example,x\nA.Example.,y\n", ["hosts.csv:3: A.Example. is already listed at hosts.csv:2 (leave one out)"]),
        (
            "host,application,kind\na.example,A,pwa\nb.example,A,pwa\n",
            ['hosts.csv:3: application: the application "A" is already listed at hosts.csv:2 (give each a different name'],
        ),
        ("host,role,application\na.example,monitoring,A\n", ['hosts.csv:2: role: is "monitoring" beside an application (']),
        ("host,application\na.example,A\n", ["hosts.csv:2: environment[production].application[A].kind: is required"]),
        ("host,kind\na.example,mobile\n", ["hosts.csv:2: environment[production].application[a.example].kind: should be"]),
        ("host,https\na.example,tls\n", ["hosts.csv:2: https: is nothing that an endpoint without an application has"]),
        ("host,labels\na.example,tier\n", ['hosts.csv:2: labels: "tier" should be name=value; several by semicolons']),
        ("host\na.example\n10.0.0.0/30\n10.1.0.1-9\n", [
            'hosts.csv:3: "10.0.0.0/30" is a network of 2 hosts (expand = true and expected_count = 12 take them)',
            'hosts.csv:4: "10.1.0.1-9" is a range of 9 hosts (expand = true and expected_count = 12 take them)',
        ]),
        ('host\n"a.example\n', ["hosts.csv:2: is not CSV: unexpected end of data"]),
        ("host\na.example\0\n", ["hosts.csv:2: holds a zero byte, so it is not text"]),
        ("host\na.example\n".encode("utf-16"), ["hosts.csv:1: is UTF-16 (save it as UTF-8; Excel calls that “CSV UTF-8”)"]),
        (b"host,owner\na.example,x\nb.example,Jos\xe9\n", ["hosts.csv:3: is not UTF-8 (save it as UTF-8"]),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_is_wrong_in_a_table_is_told_with_its_line(folder: Path, text: str | bytes, expected: list[str]) -> None:
    said = refused(folder, text)

    assert len(said) == len(expected), said
    for line, start in zip(said, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("expand = true",), "config.toml:6: environment[production].inventory[hosts.csv].expand: takes whole networks (say"),
        (('format = "xslx"',), 'inventory[hosts.csv].format: "xslx" is not a form of inventories (did you mean "xlsx"?)'),
        (('formt = "csv"',), 'config.toml:6: environment[production].inventory[hosts.csv].formt: unknown key (did you mean "format"?)'),
        (('sheet = ""', 'format = "xlsx"'), "hosts.csv: is not a workbook of Excel (XLSX)"),
        (("expand = true", "expected_count = 3"), "hosts.csv: comes to 2 hosts with its networks, not to 3 (expand = true"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_inventory_is_told_where_it_is_named(
    folder: Path, keys: tuple[str, ...], expected: str
) -> None:
    (line,) = refused(folder, "host\n10.0.0.0/30\n", config=HEAD + inventory("hosts.csv", *keys))

    assert expected in line


def test_an_inventory_that_is_named_twice_is_told_once_at_the_second(folder: Path) -> None:
    config = HEAD + inventory("hosts.csv") + inventory("hosts.csv")
    (line,) = [number for number, text in enumerate(config.splitlines(), 1) if text.strip().startswith("from")][1:]

    assert refused(folder, "host\na.example\nb.example\n", "hosts.csv", config) == [
        f"config.toml:{line}: environment[production].inventory[hosts.csv].from: is the same as the first inventory of the "
        "environment (leave one out)"
    ]


def test_two_sheets_of_one_workbook_are_two_inventories(folder: Path) -> None:
    book = openpyxl.Workbook()
    for title, host in (("One", "a.example"), ("Two", "b.example")):
        book.create_sheet(title).append(["host"])
        book[title].append([host])
    out = io.BytesIO()
    book.save(out)
    config = HEAD + inventory("hosts.xlsx", 'sheet = "One"') + inventory("hosts.xlsx", 'sheet = "Two"')

    assert addresses(read(folder, out.getvalue(), "hosts.xlsx", config)) == ["a.example:443", "b.example:443"]


def test_a_file_that_is_not_there_is_told_where_it_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.toml")

    assert (
        f'config.toml:5: environment[production].inventory[hosts.csv].from: "hosts.csv" is not a file in {folder}'
        in str(caught.value)
    )


def test_networks_are_taken_where_their_number_is_agreed_to(folder: Path) -> None:
    config = read(
        folder,
        "host\na.example\n10.0.0.0/30\n10.0.0.7/32\n2001:db8::-2001:db8::1\n",
        config=HEAD + inventory("hosts.csv", "expand = true", "expected_count = 6"),
    )

    assert [item.host for item in config.inventory.endpoints] == [
        "a.example", "10.0.0.1", "10.0.0.2", "10.0.0.7", "2001:db8::", "2001:db8::1",
    ]  # fmt: skip
    huge = HEAD + inventory("hosts.csv", "expand = true", "expected_count = 16777214")
    (line,) = refused(folder, "host\n10.0.0.0/8\n", config=huge)
    assert "comes to 16777214 hosts with its networks, and at most 65536 can be" in line


def test_formulas_of_a_workbook_are_refused_with_their_row(folder: Path) -> None:
    data = workbook([["host", "owner"], ["a.example", "x"], ['=CONCAT("b", ".example")', "x"]])

    assert refused(folder, data, "hosts.xlsx", HEAD + inventory("hosts.xlsx")) == [
        "hosts.xlsx:3: host: is a formula (paste its value instead)"
    ]


@pytest.mark.parametrize(
    ("data", "keys", "expected"),
    [
        (workbook([["host"]]), ('sheet = "Host"',), 'hosts.xlsx: has no sheet "Host" (did you mean "Hosts"?)'),
        (b"PK\x03\x04 no more", (), "hosts.xlsx: is not a workbook of Excel (XLSX) (save it as XLSX or as CSV UTF-8)"),
        (workbook([["host"], ["a.example"]])[:-40], (), "hosts.xlsx: is not a workbook of Excel"),
    ],
    ids=["another sheet", "no archive", "cut off"],
)
def test_workbooks_that_are_none(folder: Path, data: bytes, keys: tuple[str, ...], expected: str) -> None:
    (line,) = refused(folder, data, "hosts.xlsx", HEAD + inventory("hosts.xlsx", *keys))

    assert line.startswith(expected)


def test_a_workbook_that_unpacks_to_a_giant_is_refused_unopened(folder: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/sheet.xml", "w") as part:
        for _ in range(300):
            part.write(bytes(1 << 20))

    (line,) = refused(folder, data.getvalue(), "hosts.xlsx", HEAD + inventory("hosts.xlsx"))

    assert line == "hosts.xlsx: expands to 300 MiB, so it is not a list of hosts"


def test_a_file_larger_than_any_list_is_not_read(folder: Path) -> None:
    with (folder / "hosts.csv").open("wb") as file:
        file.truncate(3 << 30)

    with pytest.raises(ConfigError, match=r"hosts\.csv: is larger than 64 MiB, so it is not a list of hosts"):
        load(folder / "config.toml")


def test_a_workbook_whose_first_sheet_is_none_of_hosts_says_which_there_are(folder: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Notes"  # type: ignore[union-attr]  # a new workbook has a sheet
    book.active.append(["see the others"])  # type: ignore[union-attr]  # the same
    for title in ("Hosts", "Old"):
        book.create_sheet(title).append(["host"])
    data = io.BytesIO()
    book.save(data)

    said = refused(folder, data.getvalue(), "hosts.xlsx", HEAD + inventory("hosts.xlsx"))

    assert len(said) == 2
    assert said[1] == (
        'hosts.xlsx: the first sheet, "Notes", was read (say which one is meant: --sheet, or sheet = "Hosts"; '
        "there are Hosts, Old)"
    )
    named = inventory("hosts.xlsx", 'sheet = "Notes"')
    assert len(refused(folder, data.getvalue(), "hosts.xlsx", HEAD + named)) == 1


@pytest.mark.parametrize("cell", ["#REF!", "#N/A", "#NAME?", "#DIV/0!"])
def test_an_error_of_a_spreadsheet_is_nobodys_name(folder: Path, cell: str) -> None:
    expected = f"owner: is an error of the spreadsheet, {cell} (repair it, or empty the cell)"

    assert refused(folder, f"host,owner\na.example,{cell}\n") == [f"hosts.csv:2: {expected}"]
    book = workbook([["host", "owner"], ["a.example", cell]])
    assert refused(folder, book, "hosts.xlsx", HEAD + inventory("hosts.xlsx")) == [f"hosts.xlsx:2: {expected}"]


def test_a_workbook_as_people_have_them_is_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of its own, numbers that are floats, a date, an empty row, capitals, a name in another script."""
    monkeypatch.chdir(folder)
    rows: list[list[object]] = [
        ["FQDN", "Port", "Team", "Location", "Go-live", "Paths"],
        ["shop.example", 443, "payments", "porto", date(2026, 1, 1), None],
        ["Con.Example.", 8443.0, "platform", None, None, "/ServiceCenter /lifetime"],
        [None] * 6,
        ["bücher.example", None, "payments", "porto", None, None],
    ]
    (folder / "config.toml").unlink()
    (folder / "estate.xlsx").write_bytes(workbook(rows))
    columns = ["host=FQDN", "port=Port", "owner=Team", "label.site=Location"]
    options = [word for column in columns for word in ("--column", column)]

    assert run(["import", "estate.xlsx", *options, "-e", "production", "-o", "hosts.toml"]) == 0

    assert "application" not in (folder / "hosts.toml").read_text("utf-8")
    (folder / "config.toml").write_text('include = ["hosts.toml"]\n' + HEAD, "utf-8")
    assert [(item.address, item.owners, dict(item.ownership.labels)) for item in load(folder / "config.toml").inventory.endpoints] == [
        ("shop.example:443", ("payments",), {"site": "porto"}),
        ("con.example:8443", ("platform",), {}),
        ("xn--bcher-kva.example:443", ("payments",), {"site": "porto"}),
    ]  # fmt: skip
