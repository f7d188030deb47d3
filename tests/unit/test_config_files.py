"""Configurations in several files: put together, read again as one, and each problem with its file and line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from scanner.config.lines import lines_of
from scanner.config.loading import Config, load, parse
from scanner.errors import ConfigError

MAIN = """include = ["conf.d/*.toml"]

[scan]
timeout = "2s"

[[environment]]
name = "production"
kind = "on-premises"
hsts = true

  [[environment.endpoint]]
  host = "main.example"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "config.toml").write_text(MAIN, "utf-8")
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")


def hosts(config: Config) -> dict[str, list[str]]:
    return {item.name: [endpoint.host for endpoint in item.endpoints] for item in config.inventory.environments}


def refused(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.toml")
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_environments_grow_over_files_and_sections_are_added(folder: Path) -> None:
    write(
        folder, "conf.d/a.toml", '[[environment]]\nname = "production"\n[[environment.endpoint]]\nhost = "a.example"\n'
    )
    write(
        folder,
        "conf.d/b.toml",
        '[[environment]]\nname = "test"\nkind = "paas"\n[[environment.endpoint]]\nhost = "b.example"\n'
        '[[environment]]\nname = "production"\n[[environment.endpoint]]\nhost = "c.example"\n'
        '[[schedule]]\nname = "nightly"\ncron = "0 2 * * *"\n[scan]\ndeadline = "9s"\n',
    )

    config = load(folder / "config.toml")

    assert hosts(config) == {"production": ["main.example", "a.example", "c.example"], "test": ["b.example"]}
    assert config.inventory.environments[0].hsts
    assert config.scan.timeout.total_seconds() == 2
    assert config.scan.deadline.total_seconds() == 9
    assert [item.name for item in config.schedules] == ["nightly"]
    assert [path.name for path in config.files] == ["config.toml", "a.toml", "b.toml"]


def test_what_a_run_is_begun_with_holds_every_file(folder: Path) -> None:
    write(
        folder, "conf.d/a.toml", '[[environment]]\nname = "production"\n[[environment.endpoint]]\nhost = "a.example"\n'
    )
    config = load(folder / "config.toml")
    (folder / "conf.d" / "a.toml").unlink()
    write(
        folder, "conf.d/z.toml", '[[environment]]\nname = "production"\n[[environment.endpoint]]\nhost = "z.example"\n'
    )

    again = parse(config.text, source=config.source, folder=config.folder)

    assert hosts(again) == hosts(config)
    assert again.digest == config.digest
    assert load(folder / "config.toml").digest != config.digest
    # One that includes nothing is kept as it was written.
    write(folder, "alone.toml", MAIN.partition("\n")[2])
    assert load(folder / "alone.toml").text == MAIN.partition("\n")[2]


def test_included_files_include_others_relative_to_themselves(folder: Path) -> None:
    (folder / "conf.d" / "more").mkdir()
    write(folder, "conf.d/a.toml", 'include = ["more/x.toml"]\n')
    write(folder, "conf.d/more/x.toml", '[[environment]]\nname = "x"\nkind = "paas"\n')

    assert set(hosts(load(folder / "config.toml"))) == {"production", "x"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"a.toml": '\n[[environment]]\nname = "production"\n\n  [[environment.endpoint]]\n  host = "a b"\n'},
            ["conf.d/a.toml:6: environment[production].endpoint[a b:443].host: is not a host name: 'a b'"],
        ),
        (
            {
                "a.toml": '[[environment]]\nname = "t"\nkind = "paas"\n[[environment.endpoint]]\nhost = "a.example"\nprot = 1'
            },
            ['conf.d/a.toml:6: environment[t].endpoint[a.example:443].prot: unknown key (did you mean "port"?)'],
        ),
        (
            {"a.toml": "# nothing\n\n[nightsael]\n"},
            ['conf.d/a.toml:3: nightsael: unknown key (did you mean "nightseal"?)'],
        ),
        (
            {"a.toml": '[scan]\n\ntimeout = "3s"\n'},
            ["conf.d/a.toml:3: scan.timeout: config.toml:4 says something else (say it in one file)"],
        ),
        (
            {"a.toml": '[[environment]]\nname = "production"\nkind = "paas"\n'},
            ["conf.d/a.toml:3: environment[production].kind: config.toml:8 says something else (say it in one file)"],
        ),
        (
            {
                "a.toml": '[[environment]]\nname = "t"\nkind = "paas"\n[environment.defaults]\nport = 1\n',
                "b.toml": '\n[[environment]]\nname = "t"\n[environment.defaults]\n\nport = 2\n',
            },
            [
                "conf.d/b.toml:6: environment[t].defaults.port: conf.d/a.toml:5 says something else (say it in one "
                "file)",
            ],
        ),
        ({"a.toml": "x = 1\ny = [1,\n"}, ["conf.d/a.toml:3: not valid TOML: "]),
        (
            {"a.toml": 'include = ["../config.toml"]'},
            ["conf.d/a.toml:1: include: files include each other in a loop: config.toml → a.toml → config.toml"],
        ),
        (
            {"a.toml": 'include = [\n  "gone.toml",\n]'},
            ['conf.d/a.toml:2: include: "gone.toml" is not the name of a file in '],
        ),
        ({"a.toml": 'include = "x"'}, ["conf.d/a.toml:1: include: should be a list of file names, globs allowed"]),
        (
            {"a.toml": '[[environment]]\nname = "e"\nkind = "paas"\n[[environment]]\nname = "e"\nkind = "paas"\n'},
            ['environment: the name "e" is given 2 times'],
        ),
        (
            {
                "a.toml": '[[schedule]]\nname = "n"\ncron = "0 2 * * *"\n',
                "b.toml": '[[schedule]]\nname = "m"\ncron = "0 2 * * *"\nnotify = ["nobody"]\n',
            },
            ['conf.d/b.toml:4: schedule[m].notify: there is no [[notify]] "nobody"'],
        ),
        (
            {"a.toml": '[[notify]]\nname = "n"\n\nurl = "${NOT_SET_AT_ALL}"\n'},
            ["conf.d/a.toml:4: notify[n].url: the environment variable NOT_SET_AT_ALL is not set"],
        ),
    ],
)
def test_each_problem_has_its_file_and_line(folder: Path, files: dict[str, str], expected: list[str]) -> None:
    for name, text in files.items():
        write(folder, f"conf.d/{name}", text)

    said = refused(folder)

    assert len(said) == len(expected)
    for line, start in zip(said, expected, strict=True):
        assert start in line
        assert line.startswith(start) or not start.startswith("conf.d")


def test_a_file_that_several_patterns_match_is_read_once(folder: Path) -> None:
    write(folder, "config.toml", MAIN.replace('"conf.d/*.toml"', '"conf.d/*.toml", "conf.d/a.toml"'))
    write(folder, "conf.d/a.toml", '[[environment]]\nname = "t"\nkind = "paas"\n')
    (folder / "conf.d" / "b.toml").symlink_to("a.toml")

    config = load(folder / "config.toml")

    assert list(hosts(config)) == ["production", "t"]
    assert [path.name for path in config.files] == ["config.toml", "a.toml"]


def test_what_is_not_utf8_is_told_with_its_line(folder: Path) -> None:
    (folder / "conf.d" / "a.toml").write_bytes(b'# one\n[[environment]]\nname = "caf\xe9"\n')

    assert refused(folder) == [
        "conf.d/a.toml:3: cannot be read: it is not UTF-8 (save it as UTF-8, which TOML requires)"
    ]


def test_a_pattern_without_a_match_is_warned_of(folder: Path) -> None:
    (warning,) = load(folder / "config.toml").warnings

    assert f'"conf.d/*.toml" matches no file in {folder}' in str(warning)
    assert warning.place == f"{folder}/config.toml:1"


def test_lines_are_those_of_the_syntax() -> None:
    text = (
        'a.b = 1\n[t]\n"quoted \\"key\\"" = """\n[[environment]]\n"""\n'
        '[[e]]\nname = "x"\n[[e.p]]\nn = 1\n[[e.p]]\nn = [\n  { q = 1 },\n  { q = 2 },\n]\n[e.defaults]\no = 1\n[[e]]\n[[e.p]]\nn = 3\n'
    )
    found = lines_of(text)

    assert found["a", "b"] == 1
    assert found["t", 'quoted "key"'] == 3
    assert ("environment",) not in found
    assert ("environment", 0) not in found
    assert found["e", 0] == 6
    assert found["e", 0, "p", 1, "n"] == 11
    assert found["e", 0, "p", 1, "n", 1, "q"] == 13
    assert found["e", 0, "defaults", "o"] == 16
    assert found["e", 1] == 17
    assert found["e", 1, "p", 0, "n"] == 19


def test_five_thousand_hosts_in_five_hundred_files_are_a_matter_of_a_second(folder: Path) -> None:
    for number in range(500):
        endpoints = "".join(f'[[environment.endpoint]]\nhost = "h{host}.n{number}.example"\n' for host in range(10))
        write(folder, f"conf.d/{number:03d}.toml", f'[[environment]]\nname = "production"\n{endpoints}')
    begun = time.process_time()

    config = load(folder / "config.toml")

    assert time.process_time() - begun < 5
    assert len(config.inventory.endpoints) == 5001
    assert json.loads(config.text)


def test_a_list_of_tables_that_nobody_knows_is_told_with_its_line(tmp_path: Path) -> None:
    text = '[scan]\ntimeout = "2s"\n\n[[environmint]]\nname = "e"\n[[environment.endpoint]]\nhost = "a.example"\n'
    with pytest.raises(ConfigError) as refused:
        parse(text, source="config.toml", folder=tmp_path)

    assert [problem.place for problem in refused.value.problems] == ["config.toml:6", "config.toml:4"]
