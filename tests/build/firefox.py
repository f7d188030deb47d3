"""Firefox, told by its own remote control (Marionette) to open one page: `python firefox.py FIREFOX PROFILE HOST URL`.

It has no option that prints a page, as Chromium has. HOST leads to this machine, everything else to a proxy that is not
there, so that nothing leaves. Any issuer is taken, because that is no part of what is compared. Prints the page's source;
status 1 where there is none.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PREFERENCES = """\
user_pref("marionette.port", 0);
user_pref("network.dns.localDomains", "{host}");
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("network.proxy.no_proxies_on", "{host}");
user_pref("network.trr.mode", 5);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
"""
_STARTS_WITHIN_S = 80.0


def main(firefox: str, profile: str, host: str, url: str) -> int:
    """Open the page, and print it."""
    folder = Path(profile)
    folder.mkdir(parents=True)
    (folder / "user.js").write_text(_PREFERENCES.format(host=host), "utf-8")
    # Written by Firefox in this profile when its remote control listens.
    told = folder / "MarionetteActivePort"
    command = [firefox, "--headless", "--no-remote", "--marionette", "--profile", profile, "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with socket.create_connection(("127.0.0.1", _port(told, process)), _STARTS_WITHIN_S) as connection:
                _read(connection)
                session = _asked(connection, 1, "WebDriver:NewSession", {"acceptInsecureCerts": True})
                opened = session or _asked(connection, 2, "WebDriver:Navigate", {"url": url})
                if opened is not None:
                    sys.stderr.write(f"{opened}\n")
                    return 1
                connection.sendall(_framed(3, "WebDriver:GetPageSource", {}))
                sys.stdout.write(_read(connection)[3]["value"])
                return 0
        finally:
            process.kill()


def _port(told: Path, process: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        if told.exists() and (text := told.read_text("ascii").strip()):
            return int(text)
        time.sleep(0.1)
    raise SystemExit("Firefox's remote control does not listen")


def _framed(number: int, name: str, parameters: dict[str, Any]) -> bytes:
    message = json.dumps([0, number, name, parameters]).encode()
    return b"%d:%b" % (len(message), message)


def _asked(connection: socket.socket, number: int, name: str, parameters: dict[str, Any]) -> Any:
    """The error that a command ends with, if any."""
    connection.sendall(_framed(number, name, parameters))
    return _read(connection)[2]


def _read(connection: socket.socket) -> Any:
    length = b""
    while (byte := connection.recv(1)) != b":":
        if not byte:
            raise SystemExit("Firefox has ended")
        length += byte
    wanted, data = int(length), b""
    while len(data) < wanted:
        data += connection.recv(wanted - len(data))
    return json.loads(data)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
