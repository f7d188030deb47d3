"""What the rules advise for nginx is configuration that nginx takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scanner.rules import all_rules

_NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
_FIXES = {text: rule.id for rule in all_rules().values() if (text := rule.fix.servers.get("nginx"))}
_NEEDS_OPENSSL_35 = "kex.post-quantum"

pytestmark = pytest.mark.skipif(not Path(_NGINX).exists(), reason="nginx is not installed: apt-get install nginx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key, where the fixes say /etc/ssl."""
    made: Path = tmp_path_factory.mktemp("nginx")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (made / "privkey.pem").write_bytes(pem)
    command = ["openssl", "req", "-x509", "-new", "-key", str(made / "privkey.pem"), "-subj", "/CN=www.example.com"]
    subprocess.run([*command, "-out", str(made / "fullchain.pem")], check=True, capture_output=True)
    shutil.copy(made / "fullchain.pem", made / "clients-ca.pem")
    return made


@pytest.mark.parametrize("text", _FIXES, ids=_FIXES.values())
def test_nginx_takes_the_advice(text: str, folder: Path) -> None:
    if _FIXES[text] == _NEEDS_OPENSSL_35:
        pytest.skip("its group needs OpenSSL 3.5, which nginx is not linked to here")
    # A test of the configuration binds what it listens on, so that must not be the ports of the advice.
    body = text.replace("/etc/ssl/", f"{folder}/").replace("listen 443 ssl;", "").replace("listen [::]:80;", "")
    body = body.replace("listen 80;", f"listen unix:{folder}/s;")
    if not text.startswith("server"):
        own = "" if "ssl_certificate " in text else f"ssl_certificate {folder}/fullchain.pem;"
        own += "" if "ssl_certificate_key" in text else f"ssl_certificate_key {folder}/privkey.pem;"
        body = f"server {{ listen unix:{folder}/s ssl; {own}\n{body}\n}}"
    path = folder / "nginx.conf"
    path.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{ access_log off; {body}\n}}\n", encoding="utf-8")
    command = [_NGINX, "-t", "-c", str(path), "-e", str(folder / "errors"), "-p", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_there_is_advice_for_nginx_and_apache_on_every_rule_about_them() -> None:
    elsewhere = {"dns.caa", "https.node-consistency"}  # the DNS; every server alike
    without = {rule.id for rule in all_rules().values() if not {"nginx", "apache"} <= set(rule.fix.servers)}
    made_by_the_ca = {"cert.lifetime", "cert.renewal-ready", "cert.signature", "cert.usage"}
    by_update = {"vuln.heartbleed", "vuln.ccs-injection", "integrity.extended-master-secret"}
    no_such_switch = {"integrity.no-early-data"}  # Apache httpd has no early data
    assert without == elsewhere | made_by_the_ca | by_update | no_such_switch
