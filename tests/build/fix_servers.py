"""nginx and Apache httpd on loopback, one process of each for many sites: as they are misconfigured, and with a fix."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.build.servers import program

MODULES = Path("/usr/lib/apache2/modules")
APACHE_MODULES = (
    "mpm_event", "authz_core", "ssl", "socache_shmcb", "headers", "alias", "dir", "mime", "proxy", "proxy_http",
)  # fmt: skip
_START_SECONDS = 120.0
# What is weak in any way needs the lowest level of OpenSSL's own precautions, as it had when such sites were set up.
_LAX = """
openssl_conf = lax
[lax]
ssl_conf = ssl
[ssl]
system_default = system
[system]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/html;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{backend}; add_header Set-Cookie "session=1; Path=/"; location / {{ return 200 fine; }} }}
{sites}
}}
"""
_APACHE = """
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
ServerName apache.fix.example
TypesConfig /dev/null
AddType text/html .html
DirectoryIndex index.html
User {user}
Group {group}
{modules}
<Directory {folder}>
    Require all granted
</Directory>
Listen 127.0.0.1:{backend}
<VirtualHost 127.0.0.1:{backend}>
    DocumentRoot {folder}/page
    Header set Set-Cookie "session=1; Path=/"
</VirtualHost>
{sites}
"""


@dataclass(frozen=True)
class Ports:
    """Where a site listens, and where the application behind it does."""

    tls: int
    plain: int
    backend: int


def directive(line: str) -> str:
    """The name of the directive on a line; empty where there is none."""
    match = re.match(r"\s*([A-Za-z_]+)", line)
    return match[1] if match else ""


def mended(wrong: str, fix: str) -> str:
    """The directives with those of the fix: in place of any of the same name, as whoever follows it would do."""
    advised = {directive(line) for line in fix.splitlines()} - {""}
    return "\n".join([*(line for line in wrong.splitlines() if directive(line) not in advised), fix])


def completed(directives: str, defaults: Sequence[str]) -> str:
    """The directives, and of the defaults those whose names are not among them."""
    given = {directive(line) for line in directives.splitlines()}
    return "\n".join([*(line for line in defaults if directive(line) not in given), directives])


def nginx_site(folder: Path, host: str, ports: Ports, secure: str, plain: str) -> str:
    """A pair of server blocks: `secure` are the directives of the one on port 443, `plain` is the whole other one."""
    defaults = (
        "listen 443 ssl;",
        f"ssl_certificate {folder}/fullchain.pem;",
        f"ssl_certificate_key {folder}/privkey.pem;",
        'add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;',
        "location / { return 200 '<!doctype html><p>fine'; }",
    )
    text = f"server {{\nserver_name {host};\n{completed(secure, defaults)}\n}}\n{plain}\n"
    text = re.sub(r"server_name [^;]+;", f"server_name {host};", text)
    text = text.replace("listen [::]:80;", "").replace("listen 80;", f"listen 127.0.0.1:{ports.plain};")
    text = text.replace("listen 443", f"listen 127.0.0.1:{ports.tls}").replace("/etc/ssl/", f"{folder}/")
    return text.replace("BACKEND", str(ports.backend))


def apache_site(folder: Path, host: str, ports: Ports, secure: str, plain: str) -> str:
    """A pair of virtual hosts: the directives of the secure one or all of it, and the whole plain one."""
    defaults = (
        "SSLEngine on",
        f"SSLCertificateFile {folder}/fullchain.pem",
        f"SSLCertificateKeyFile {folder}/privkey.pem",
        'Header always set Strict-Transport-Security "max-age=31536000; includeSubDomains"',
        f"DocumentRoot {folder}/page",
    )
    outside = "\n".join(line for line in secure.splitlines() if directive(line) == "SSLStaplingCache")
    inside = "\n".join(line for line in secure.splitlines() if directive(line) != "SSLStaplingCache")
    if not inside.startswith("<VirtualHost"):
        inside = f"<VirtualHost *:443>\nServerName {host}\n{completed(inside, defaults)}\n</VirtualHost>"
    text = f"Listen 127.0.0.1:{ports.tls} http\nListen 127.0.0.1:{ports.plain} http\n{outside}\n{inside}\n{plain}\n"
    text = re.sub(r"(?:www|api)\.example\.com", host, text)
    text = text.replace("*:443", f"127.0.0.1:{ports.tls}").replace("*:80", f"127.0.0.1:{ports.plain}")
    return text.replace("/etc/ssl/", f"{folder}/").replace("BACKEND", str(ports.backend))


@contextlib.contextmanager
def nginx(folder: Path, sites: Sequence[str], backend: int, ports: Sequence[int]) -> Iterator[None]:
    """Serve the sites until the end of the context."""
    path = folder / "nginx.conf"
    path.write_text(_NGINX.format(folder=folder, sites="\n".join(sites), backend=backend), encoding="utf-8")
    command = [program("nginx", "nginx-light"), "-c", str(path), "-p", f"{folder}/", "-e", "stderr"]
    with _running(folder, command, ports):
        yield


@contextlib.contextmanager
def apache(folder: Path, sites: Sequence[str], backend: int, ports: Sequence[int]) -> Iterator[None]:
    """Serve the sites until the end of the context."""
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in APACHE_MODULES)
    names = {"user": f"#{os.getuid()}", "group": f"#{os.getgid()}"}
    if os.getuid() == 0:  # httpd refuses to serve as root
        names = {"user": "www-data", "group": "www-data"}
    path = folder / "apache.conf"
    text = _APACHE.format(folder=folder, modules=modules, sites="\n".join(sites), backend=backend, **names)
    path.write_text(text, encoding="utf-8")
    command = [program("apache2", "apache2-bin"), "-D", "FOREGROUND", "-f", str(path)]
    with _running(folder, command, ports):
        yield


@contextlib.contextmanager
def _running(folder: Path, command: Sequence[str], ports: Sequence[int]) -> Iterator[None]:
    lax = folder / "openssl.cnf"
    lax.write_text(_LAX, encoding="utf-8")
    with (folder / "output").open("w+b") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "OPENSSL_CONF": str(lax)}, start_new_session=True
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not all(map(_accepts, ports)):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    logged = folder / "apache.log"
                    message = output.read().decode() + (logged.read_text() if logged.exists() else "")
                    raise RuntimeError(message)
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(_START_SECONDS)


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
