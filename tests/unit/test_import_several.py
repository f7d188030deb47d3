"""`nightseal import` of several files, and of rows that name an environment: nothing is lost or moved in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.cli import run

Captured = pytest.CaptureFixture[str]
CONFIG = "".join(
    f'[[environment]]\nname = "{name}"\nkind = "on-premises"\n[[environment.endpoint]]\nhost = "{host}"\n'
    for name, host in (("production", "p.example"), ("test", "t.example"))
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.csv").write_text(text, "utf-8")


def test_rows_of_another_environment_are_left_out_and_told_with_their_lines(capsys: Captured) -> None:
    write(o="host,environment\na.example,Production\nb.example,test\nc.example,\n")

    assert run(["import", "o.csv", "-e", "production", "--to", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["host", "a.example", "c.example"]
    assert 'left out: 1 row of another environment than "production": o.csv:3 b.example (test)' in said.err
    write(o="host,environment\na.example,production\n")
    assert run(["import", "o.csv", "-e", "prodution"]) == 2
    assert 'no row belongs to the environment "prodution" (did you mean "production"?)' in capsys.readouterr().err


def test_a_difference_of_one_environment_has_no_row_of_another(capsys: Captured) -> None:
    Path("config.toml").write_text(CONFIG, "utf-8")
    write(o="host,environment\np.example,production\nt.example,test\nn.example,test\n")

    assert run(["import", "o.csv", "--diff", "-e", "production"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert '2 rows of another environment than "production"' in said.err
    assert said.err.splitlines()[-1] == "0 new, 0 gone, 0 changed, 1 the same"


def test_a_row_that_names_no_environment_is_looked_for_in_all(capsys: Captured) -> None:
    Path("config.toml").write_text(CONFIG + '[[environment]]\nname = "imported"\nkind = "paas"\n', "utf-8")
    write(o="host,environment\np.example,PRODUCTION\nt.example,\nn.example,\n")

    assert run(["import", "o.csv", "--diff"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["+ n.example:443"]
    assert said.err.splitlines()[-1] == "1 new, 0 gone, 0 changed, 2 the same"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            "host,owner\na.example,x\n",
            "host,owner\nA.example,y\n",
            'owner: of A.example is "y", and at o1.csv:2 it is "x"',
        ),
        (
            "host,label.tier\na.example,1\n",
            "host,owner,label.tier\na.example,x,2\n",
            'label.tier: of a.example is "2", and at o1.csv:2 it is "1"',
        ),
        (
            "host,role,paths\na.example,monitoring,/a\n",
            "host,role,paths\na.example,monitoring,/b /c\n",
            'paths: of a.example is "/b /c", and at o1.csv:2 it is "/a"',
        ),
        (
            "host,role,paths,owner\na.example,monitoring,/a,x\n",
            "host,contact,owner\na.example,c,y\n",
            'owner: of a.example is "y", and at o1.csv:2 it is "x"',
        ),
    ],
)
def test_what_two_files_say_otherwise_of_one_host_is_refused(
    first: str, second: str, expected: str, capsys: Captured
) -> None:
    write(o1=first, o2=second)

    assert run(["import", "o1.csv", "o2.csv", "-o", "out.csv"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"nightseal: o2.csv:2: {expected} ({HINT})"
    assert not Path("out.csv").exists()


HINT = "make them the same, or empty one"


def test_a_contradiction_is_told_by_the_file_that_said_it(capsys: Captured) -> None:
    write(o1="host\na.example\n", o2="host,owner\na.example,x\n", o3="host,owner\na.example,y\n")

    assert run(["import", "o1.csv", "o2.csv", "o3.csv"]) == 2
    said = capsys.readouterr().err
    assert f'nightseal: o3.csv:2: owner: of a.example is "y", and at o2.csv:2 it is "x" ({HINT})' in said


NMAP = (
    "<nmaprun><host><address addr='192.0.2.1' addrtype='ipv4'/><hostnames><hostname name='a.example' type='user'/></hostnames>"
    "<ports>{}</ports></host></nmaprun>"
)
PORT = "<port protocol='tcp' portid='{}'><state state='open'/><service name='{}'/></port>"


@pytest.mark.parametrize("files", [["scan.xml", "o.csv"], ["o.csv", "scan.xml"]])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("host,owner,label.tier\na.example,x,1", ["a.example,,,,x,1", "a.example,25,server,smtp,,"]),
        ("host,port,owner\na.example,25,x", ["a.example,,,,", "a.example,25,server,smtp,x"]),
        (
            "host,role,environment,owner\na.example,monitoring,production,x\na.example,development,production,y",
            [
                "a.example,,monitoring,,production,x", "a.example,,development,,production,y",
                "a.example,25,server,smtp,imported,",
            ],
        ),
        ("host,owner,environment\na.example,x,test", ["a.example,,,,test,x", "a.example,25,server,smtp,imported,"]),
        ("host,application,kind,owner\na.example,Shop,pwa,x", ["a.example,,,,Shop,pwa,x", "a.example,25,server,smtp,,,"]),
    ],
)  # fmt: skip
def test_what_files_say_of_one_host_is_joined(
    files: list[str], rows: str, expected: list[str], capsys: Captured
) -> None:
    Path("scan.xml").write_text(NMAP.format(PORT.format(443, "https") + PORT.format(25, "smtp")), "utf-8")
    write(o=f"{rows}\n")

    assert run(["import", *files, "--to", "csv"]) == 0
    said = capsys.readouterr()
    assert sorted(said.out.splitlines()[1:]) == sorted(expected)
    assert "left out: 1 host named by another file, too: a.example:" in said.err


@pytest.mark.parametrize("files", [["a.csv", "b.csv"], ["b.csv", "a.csv"]])
def test_what_is_wrong_in_what_was_joined_is_told_by_its_own_file(files: list[str], capsys: Captured) -> None:
    write(a="host,label.x\na.example,1\n", b="host,http_port\n\na.example,eighty\n")

    assert run(["import", *files]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("nightseal: ")]
    assert said.startswith("nightseal: b.csv:3: ")
    assert "http_port" in said


def test_what_two_files_say_alike_is_told_by_its_host(capsys: Captured) -> None:
    write(
        o1="host,owner,label.a,label.b\na.example,x,1,2\n", o2="host,port,label.b\na.example,443,2\nb.example,8443,\n"
    )

    assert run(["import", "o1.csv", "o2.csv", "--to", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == ["a.example,,x,1,2", "b.example,8443,,,"]
    assert "left out: 1 host named by another file, too: a.example:443" in said.err


def test_what_one_file_says_twice_is_refused_beside_another_as_alone(capsys: Captured) -> None:
    write(lab="host\na.example\n", dup="host\na.example\na.example\n")

    assert run(["import", "dup.csv"]) == 2
    alone = capsys.readouterr().err.splitlines()[-1]
    assert "dup.csv:3: a.example is already listed at dup.csv:2" in alone
    assert run(["import", "lab.csv", "dup.csv"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == alone


def test_a_difference_is_written_nowhere(capsys: Captured) -> None:
    write(o="host\na.example\n")

    assert run(["import", "o.csv", "--diff", "-o", "out.toml"]) == 2
    assert "--diff writes nothing: leave out --output" in capsys.readouterr().err


def test_a_configuration_that_lacks_what_is_to_be_written_stops_nothing(capsys: Captured) -> None:
    """Its inventory is what `import` is to write: it can't be used before."""
    lacking = CONFIG + '[[environment.inventory]]\nfrom = "new.csv"\n'
    Path("config.toml").write_text(lacking, "utf-8")
    write(o="host,environment\na.example,test\n")

    assert run(["import", "o.csv", "--diff"]) == 2
    assert 'new.csv" is not a file' in capsys.readouterr().err
    assert run(["import", "o.csv", "-o", "new.csv"]) == 0
    assert "config.toml: warning: it can't be used as it is" in capsys.readouterr().err
    assert run(["config", "check"]) == 0


def test_a_row_is_compared_with_what_its_environment_says_of_itself(capsys: Captured) -> None:
    own = '[defaults]\nowner = "plat"\n' + CONFIG.replace(
        'name = "test"\n', 'name = "test"\nowner = "web"\ncontact = "w@x"\nlabels = { stage = "t" }\n'
    )
    Path("config.toml").write_text(own, "utf-8")
    write(o="host,environment,owner,contact,label.stage\nt.example,test,,,\nother.example,test,me,m@x,u\n")

    assert run(["import", "o.csv", "--diff"]) == 0
    assert capsys.readouterr().out.splitlines() == ["+ test/other.example:443"]


def test_what_is_in_no_list_of_hosts_is_not_gone(capsys: Captured) -> None:
    """Files of certificates, and the domains of an environment."""
    Path("ca.pem").write_text("", "utf-8")
    more = (
        '[[environment]]\nname = "cloud"\nkind = "paas"\ndefault_domain = "d.example"\n'
        '[[environment.certificate]]\nfiles = ["ca.pem"]\n'
    )
    Path("config.toml").write_text(CONFIG + more, "utf-8")
    write(o="host,environment\nc.example,cloud\n")

    assert run(["import", "o.csv", "--diff"]) == 0
    assert capsys.readouterr().out.splitlines() == ["+ cloud/c.example:443"]


def test_everything_that_a_row_says_otherwise_is_told(capsys: Captured) -> None:
    more = (
        '[[environment.application]]\nname = "Shop"\nkind = "pwa"\nhost = "s.example"\nhttps = "none"\n'
        'paths = [{ path = "/a" }]\n'
        '[[environment.application]]\nname = "Site"\nkind = "service"\nhost = "s.example"\nhttps = "none"\n'
        '[[environment.endpoint]]\nhost = "c.example"\nrole = "monitoring"\npaths = ["/x"]\n'
        '[[environment.endpoint]]\nhost = "d.example"\nrole = "monitoring"\npaths = ["/y", "/x"]\n'
    )
    Path("config.toml").write_text(CONFIG + more, "utf-8")
    columns = "host,environment,role,paths,application,kind,https,force_https_screens\n"
    write(
        o=columns + "s.example,test,,/a /b,Shop,service,tls,true\ns.example,test,,,Site,service,,\n"
        "c.example,test,monitoring,/y,,,,\nd.example,test,monitoring,/x /y,,,,\nt.example,test,,,,,,\n"
    )

    assert run(["import", "o.csv", "--diff"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "~ test/c.example:443: monitoring: paths /x → /y",
        "~ test/s.example:443: Shop: kind pwa → service; Shop: https none → tls; "
        "Shop: force_https_screens false → true; Shop: paths /a → /a /b",
    ]
    assert said.err.splitlines()[-1] == "0 new, 0 gone, 2 changed, 2 the same"
