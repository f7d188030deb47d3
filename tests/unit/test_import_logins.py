"""What files of hosts hold that is no host: passwords in addresses, which nobody is told, and values of other types."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.cli import run

Captured = pytest.CaptureFixture[str]
PASSWORD = "Hunter2-pw"  # noqa: S105  # of nobody


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.csv", f"host\nhttps://me:{PASSWORD}@h.example/\n"),
        ("h.csv", f"host\nme:{PASSWORD}@h.example\n"),
        ("h.txt", f"https://me:{PASSWORD}@h.example/\n"),
        ("h.yml", f'- targets: ["https://me:{PASSWORD}@bad host/"]\n'),
        ("h.yml", f'- targets: ["http://me:{PASSWORD}@h.example/"]\n'),
        ("h.json", f'{{"ip": "me:{PASSWORD}@h.example", "port": 443}}\n'),
        (
            "h.yaml",
            "apiVersion: v1\nkind: Ingress\nspec:\n  rules:\n"
            f"  - host: https://me:{PASSWORD}@h.example/\n  - host: me:{PASSWORD}@h.example\n",
        ),
    ],
)
@pytest.mark.parametrize("at_each_run", [True, False])
def test_a_password_in_an_address_is_told_nobody(name: str, text: str, *, at_each_run: bool, capsys: Captured) -> None:
    Path(name).write_text(text, "utf-8")
    environment = (
        '[[environment]]\nname = "e"\nkind = "paas"\n[[environment.endpoint]]\nhost = "o.example"\n'
        f'[[environment.inventory]]\nfrom = "{name}"\nformat = "{_form(name)}"\n'
    )
    Path("config.toml").write_text(environment if at_each_run else "", "utf-8")

    run(["config", "check"] if at_each_run else ["import", name, "--from", _form(name)])

    said = "".join(capsys.readouterr())
    assert name in said
    assert PASSWORD not in said


def _form(name: str) -> str:
    forms = {"csv": "csv", "txt": "list", "yml": "prometheus", "json": "port-lines", "yaml": "kubernetes"}
    return forms[name.rpartition(".")[2]]


def test_a_probe_that_logs_in_is_a_host_like_others(capsys: Captured) -> None:
    Path("t.yml").write_text(
        f'- targets: ["https://me:{PASSWORD}@a.example/x@y", "https://me@b.example:8443", "https://c.example/?to=me@x"]\n'
    )

    assert run(["import", "t.yml", "--to", "csv"]) == 0
    assert capsys.readouterr().out.split() == ["host,port", "a.example,", "b.example,8443", "c.example,"]


def test_what_yaml_takes_for_something_else_is_no_host(capsys: Captured) -> None:
    Path("i.yaml").write_text(
        "apiVersion: v1\nkind: Ingress\nspec:\n  rules:\n"
        "  - host: on\n  - host: 5\n  - host: 2026-01-01\n  - host: [a.example]\n  - host: b.example\n"
    )

    assert run(["import", "i.yaml", "--to", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out == "host\nb.example\n"
    assert "left out: 4 entries in place of a host name: Ingress default/?: True" in said.err
    assert "1 host of an Ingress without tls for it: Ingress default/? b.example" in said.err


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("crt.sh", '[{"name_value": "NaN.example"},\n{"name_value": "a.example", "common_name": CONSTANT}]'),
        ("port-lines", '{"ip": "192.0.2.1", "port": 443}\n{"ip": "192.0.2.1", "port": CONSTANT}\n'),
    ],
)
def test_what_json_has_not_is_refused_with_its_line(form: str, text: str, constant: str, capsys: Captured) -> None:
    Path("a.json").write_text(text.replace("CONSTANT", constant))

    assert run(["import", "a.json", "--from", form]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"nightseal: a.json:2: is not JSON: {constant.lstrip('-')} is not a number\n")
