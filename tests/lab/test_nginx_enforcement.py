"""Enforcement as nginx does it, and the ways in which its configuration goes wrong: seen on the real server."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scanner.config import loading as config
from scanner.evidence import ChainEnd, FailureReason, HttpEvidence
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.rules import Observed
from tests.build.enforcement import Verdicts, judge, name, observe, wrong
from tests.build.ports import free_port
from tests.build.servers import program

HSTS = "add_header Strict-Transport-Security 'max-age=63072000; includeSubDomains' always;"
CLIENTS = "ssl_client_certificate ca.pem; ssl_verify_client"
PAGE = "location / { return 200 '<!doctype html><p>fine'; }"
FORBIDDEN_WITHOUT = f"if ($ssl_client_verify != SUCCESS) {{ return 403; }} {HSTS}"


@dataclass(frozen=True)
class Site:
    """One host: the directives of its plain and its TLS server, its application, and what must be found wrong."""

    plain: str
    secure: str
    application: str
    wrong: Mapping[str, str]
    right: Mapping[str, str]


REST = 'kind = "service"\nintegrations = [ { path = "/api/v1", kind = "rest" }, { path = "/soap", kind = "soap" } ]'
MOVED = "location / { return 301 https://$host$request_uri; }"
CERTIFICATE = 'https = "tls-client-certificate"\nclient_certificate = { cert = "client.pem", key = "client.pem" }'
SERVICE = f"{HSTS} default_type application/json; location / {{ return 200 '{{}}'; }}"

SITES = {
    "good": Site(
        MOVED,
        HSTS + PAGE,
        'kind = "traditional-web"\npaths = [ { path = "/app" } ]',
        {},
        {"https.redirect": "redirects", "https.path /app": "as-configured", "https.hsts": "sent"},
    ),
    "root-only": Site(
        f"location = / {{ return 301 https://$host/; }} {PAGE}",
        HSTS + PAGE,
        'kind = "traditional-web"\npaths = [ { path = "/app" } ]',
        {"https.path /app": "served-in-plain"},
        {"https.redirect": "redirects"},
    ),
    "other-host-first": Site(
        "return 301 https://www.$host$request_uri;",
        HSTS + PAGE,
        'kind = "traditional-web"',
        {"https.redirect": "other-host"},
        {},
    ),
    "api-redirected": Site(
        MOVED,
        SERVICE,
        REST,
        {"https.integration /api/v1": "redirected", "https.integration /soap": "redirected"},
        {},
    ),
    "api-forbidden": Site(
        f"location /api {{ return 403; }} location /soap {{ return 403; }} {MOVED}",
        SERVICE,
        REST,
        {},
        {"https.integration /api/v1": "refused", "https.integration /soap": "refused"},
    ),
    # 444 closes the connection without an answer.
    "api-hung-up-on": Site(
        f"location /api {{ return 444; }} location /soap {{ return 444; }} {MOVED}",
        SERVICE,
        REST,
        {},
        {"https.integration /api/v1": "refused", "https.integration /soap": "refused"},
    ),
    "api-in-plain": Site(
        f"location /api {{ return 200 '{{}}'; }} location /soap {{ return 204; }} {MOVED}",
        SERVICE,
        REST,
        {"https.integration /api/v1": "served-in-plain", "https.integration /soap": "served-in-plain"},
        {},
    ),
    # A location with an add_header of its own inherits none of its server's.
    "hsts-not-inherited": Site(
        MOVED,
        f"{HSTS} location /app {{ add_header X-Frame-Options DENY; return 200 fine; }} {PAGE}",
        'kind = "traditional-web"\npaths = [ { path = "/app" } ]',
        {"https.hsts": "not-everywhere"},
        {},
    ),
    # Without "always" nginx leaves added headers out of errors.
    "hsts-not-always": Site(
        MOVED,
        f"{HSTS.replace(' always', '')} location / {{ return 404; }}",
        'kind = "traditional-web"',
        # A page that there is only as an error tells nothing of the headers of pages.
        dict.fromkeys(
            ("https.hsts", "https.hsts-max-age", "https.hsts-subdomains", "https.no-downgrade", "https.secure-cookies"),
            "error-page",
        ),
        {},
    ),
    "hsts-over-http2-alone": Site(
        MOVED,
        f"location / {{ if ($server_protocol = HTTP/2.0) {{ {HSTS} return 200 fine; }} return 200 fine; }}",
        'kind = "traditional-web"',
        {"https.hsts": "not-everywhere"},
        {},
    ),
    "downgrade": Site(
        MOVED,
        f"{HSTS} location = / {{ return 302 http://$host/login; }} {PAGE}",
        'kind = "traditional-web"',
        {"https.no-downgrade": "redirects", "https.redirect": "through-plain"},
        {},
    ),
    "client-certificate-required": Site(
        MOVED,
        f"{CLIENTS} on; {HSTS} {PAGE}",
        f'kind = "traditional-web"\n{CERTIFICATE}',
        {},
        {"https.client-certificate /": "enforced"},
    ),
    "client-certificate-optional": Site(
        MOVED,
        f"{CLIENTS} optional; {HSTS} {PAGE}",
        f'kind = "traditional-web"\n{CERTIFICATE}',
        {"https.client-certificate /": "works-without"},
        {},
    ),
    "client-certificate-unchecked": Site(
        MOVED,
        f"{CLIENTS} optional_no_ca; {HSTS} if ($ssl_client_verify = NONE) {{ return 403; }} {PAGE}",
        f'kind = "traditional-web"\n{CERTIFICATE}',
        {"https.client-certificate /": "accepts-any"},
        {},
    ),
    "client-certificate-for-a-path": Site(
        MOVED,
        f"{CLIENTS} optional; {HSTS} location /partners {{ {FORBIDDEN_WITHOUT} return 200 fine; }} {PAGE}",
        'kind = "traditional-web"\nclient_certificate = { cert = "client.pem", key = "client.pem" }\n'
        'paths = [ { path = "/partners", https = "tls-client-certificate" } ]',
        {},
        {"https.client-certificate /partners": "enforced", "https.client-certificate /": "open"},
    ),
}


def host(site: str) -> str:
    return f"{site}.nginx.example"


def target(site: str) -> str:
    return f"enforced/{host(site)}:443@127.0.0.1"


def configuration(port: int, http_port: int) -> str:
    servers = "".join(
        f"server {{ listen 127.0.0.1:{http_port}; server_name {host(site)}; {directives.plain} }}\n"
        f"server {{ listen 127.0.0.1:{port} ssl http2; server_name {host(site)}; {directives.secure} }}\n"
        for site, directives in SITES.items()
    )
    return f"""
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off;
  server_names_hash_bucket_size 128;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  default_type text/html;
  ssl_certificate server.pem;
  ssl_certificate_key server.pem;
  {servers}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, int]]:
    """nginx with every site, on two ports: of TLS and of plain HTTP."""
    authority = CertificateAuthority(datetime.now(UTC).replace(microsecond=0))
    (folder / "ca.pem").write_bytes(authority.root.chain_pem)
    (folder / "server.pem").write_bytes(authority.issue(CertificateRecipe(), "*.nginx.example").pem)
    (folder / "client.pem").write_bytes(authority.issue(CertificateRecipe(usage="client"), "client.example").pem)
    port, http_port = free_port(), free_port()
    (folder / "nginx.conf").write_text(configuration(port, http_port), encoding="utf-8")
    # A missing program is an error that names the command which installs it.
    command = [program("nginx", "nginx"), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            # nginx writes its pid once it listens.
            while process.poll() is None and not (folder / "nginx.pid").exists():
                time.sleep(0.02)
            assert process.poll() is None, process.stderr.read()
            yield port, http_port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Iterator[tuple[list[Observed], Verdicts]]:
    folder = tmp_path_factory.mktemp("nginx")
    text = '[[environment]]\nname = "enforced"\nkind = "on-premises"\n'
    text += "hsts = true\nforce_https_screens = true\nforce_https_integrations = true\n"
    for site, directives in SITES.items():
        text += f'[[environment.application]]\nname = "{site}"\nhost = "{host(site)}"\n{directives.application}\n'
    with nginx(folder) as (port, http_port):
        configured = config.parse(text, source="test", folder=folder)
        connect_to = {f"{host(site)}:443": [f"127.0.0.1:{port}"] for site in SITES}
        connect_to |= {f"{host(site)}:80": [f"127.0.0.1:{http_port}"] for site in SITES}
        environments = configured.inventory.environments
        observed = observe(environments, connect_to)
        yield observed, judge(environments, observed)


@pytest.mark.parametrize("site", SITES)
def test_exactly_what_is_wrong_is_found(seen, site):
    assert wrong(seen[1][target(site)]) == SITES[site].wrong


@pytest.mark.parametrize("site", [site for site in SITES if SITES[site].right])
def test_what_is_right_is_seen_to_be(seen, site):
    reasons = {name(verdict): verdict.reason for verdict in seen[1][target(site)]}
    assert {rule: reasons[rule] for rule in SITES[site].right} == SITES[site].right


def evidence(seen: tuple[list[Observed], Verdicts], site: str) -> HttpEvidence:
    (found,) = (item.evidence.http.value for item in seen[0] if item.target.id == target(site))
    assert found is not None
    return found


def test_http2_is_spoken_inside_tls_and_http11_outside(seen):
    chain = evidence(seen, "good").find("http")
    assert [hop.http_version for hop in chain.hops] == ["HTTP/1.1", "HTTP/2"]
    assert chain.end is ChainEnd.ANSWER


def test_where_http2_is_spoken_the_root_is_asked_over_http11_too(seen):
    roots = [item for item in evidence(seen, "good").probes if (item.scheme, item.path) == ("https", "/")]
    assert [item.first.http_version for item in roots] == ["HTTP/2", "HTTP/1.1"]


def test_a_connection_hung_up_on_is_a_reset(seen):
    probes = [item for item in evidence(seen, "api-hung-up-on").probes if (item.scheme, item.path) == ("http", "/soap")]
    assert [item.first.failure.reason for item in probes] == [FailureReason.RESET]


def test_a_redirect_to_a_host_that_nobody_configured_is_not_followed(seen):
    chain = evidence(seen, "other-host-first").find("http")
    assert (chain.end, len(chain.hops)) == (ChainEnd.OUT_OF_SCOPE, 1)
    assert chain.first.location == "https://www.other-host-first.nginx.example/"
