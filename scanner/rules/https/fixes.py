"""How to mend the enforcement of HTTPS."""

from __future__ import annotations

from typing import Final

from scanner.rules.registry import Fix, Mistake

_REDIRECT_NGINX: Final = """\
server {
    listen 80;
    listen [::]:80;
    server_name www.example.com;
    return 301 https://$host$request_uri;
}"""
_REDIRECT_APACHE: Final = """\
<VirtualHost *:80>
    ServerName www.example.com
    Redirect permanent / https://www.example.com/
</VirtualHost>"""
_REDIRECT_IIS: Final = """\
<!-- web.config, with the URL Rewrite module -->
<rule name="HTTPS" stopProcessing="true">
  <match url="(.*)" />
  <conditions><add input="{HTTPS}" pattern="off" /></conditions>
  <action type="Redirect" url="https://{HTTP_HOST}/{R:1}" redirectType="Permanent" />
</rule>"""
_REFUSE_NGINX: Final = """\
server {
    listen 80;
    listen [::]:80;
    server_name api.example.com;
    return 403;  # a client that sent its secret in plain must learn of it, not be led on
}"""
_OUTSYSTEMS_SCREENS: Final = (
    "LifeTime > Environments > More Security Settings > Force HTTPS for screens, or Enable HSTS;\n"
    "Service Center > Administration > Security where there is no LifeTime. It overrides applications and screens."
)
_OUTSYSTEMS_INTEGRATIONS: Final = (
    "LifeTime > Environments > More Security Settings > Force HTTPS for exposed integrations;\n"
    "or the property HTTP Security of the exposed service: SSL/TLS."
)
_OUTSYSTEMS_HSTS: Final = (
    "LifeTime > Environments > More Security Settings > Enable HTTP Strict Transport Security (HSTS)."
)
_HSTS_NGINX: Final = 'add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;'
_HSTS_APACHE: Final = 'Header always set Strict-Transport-Security "max-age=31536000; includeSubDomains"'

_HSTS_HAPROXY: Final = (
    "# HAProxy 2.2 or newer: on its own answers as well, and only over HTTPS\n"
    'http-after-response set-header Strict-Transport-Security "{}" if {{ ssl_fc }}'
)


def _hsts_filter(seconds: int, *, preload: bool) -> str:
    """Tomcat's filter and its mapping, without which it is never asked; it answers over HTTPS alone."""
    settings = {"hstsMaxAgeSeconds": str(seconds), "hstsIncludeSubDomains": "true"}
    settings |= {"hstsPreload": "true"} if preload else {}
    # Its own default would forbid every frame, which is no part of this advice.
    settings |= {"antiClickJackingEnabled": "false"}
    lines = "".join(
        f"  <init-param><param-name>{name}</param-name><param-value>{value}</param-value></init-param>\n"
        for name, value in settings.items()
    )
    return (
        "<!-- web.xml -->\n<filter>\n  <filter-name>hsts</filter-name>\n"
        f"  <filter-class>org.apache.catalina.filters.HttpHeaderSecurityFilter</filter-class>\n{lines}</filter>\n"
        "<filter-mapping><filter-name>hsts</filter-name><url-pattern>/*</url-pattern></filter-mapping>"
    )


ACTIVE: Final = Fix(
    "Install a certificate and let the port speak TLS.",
    {
        "nginx": "listen 443 ssl;\nssl_certificate     /etc/ssl/fullchain.pem;\n"
        "ssl_certificate_key /etc/ssl/privkey.pem;",
        "apache": "<VirtualHost *:443>\n    SSLEngine on\n    SSLCertificateFile    /etc/ssl/fullchain.pem\n"
        "    SSLCertificateKeyFile /etc/ssl/privkey.pem\n</VirtualHost>",
        "iis": "New-WebBinding -Name 'Default Web Site' -Protocol https -Port 443 -SslFlags 1",
        "haproxy": "bind :443 ssl crt /etc/haproxy/site.pem alpn h2,http/1.1",
        "tomcat": '<Connector port="443" protocol="HTTP/1.1" SSLEnabled="true"><SSLHostConfig>\n'
        '  <Certificate certificateFile="conf/cert.pem" certificateKeyFile="conf/key.pem"\n'
        '               certificateChainFile="conf/chain.pem"/>\n</SSLHostConfig></Connector>',
        "node": "https.createServer({ key, cert }, handler).listen(443)",
        "load balancer": "Give the virtual server a client SSL profile, or the listener HTTPS, with the certificate.",
        "postfix": "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /etc/ssl/mail.pem",
        "outsystems": "Install a certificate for the environment's domain; cloud environments come with one.",
    },
)
REDIRECT: Final = Fix(
    "Answer every request in plain HTTP by a redirect to HTTPS on the same host, or close the port.",
    {
        "nginx": _REDIRECT_NGINX,
        "apache": _REDIRECT_APACHE,
        "iis": _REDIRECT_IIS,
        "haproxy": "http-request redirect scheme https code 301 unless { ssl_fc }",
        "tomcat": '<!-- web.xml; the Connector of plain HTTP has redirectPort="443" -->\n<security-constraint>\n'
        "  <web-resource-collection>\n    <web-resource-name>all</web-resource-name>"
        "<url-pattern>/*</url-pattern>\n  </web-resource-collection>\n"
        "  <user-data-constraint><transport-guarantee>CONFIDENTIAL</transport-guarantee></user-data-constraint>\n"
        "</security-constraint>\n"
        "<!-- server.xml, the outermost Realm of the Engine: without the attribute the redirect is temporary, 302 -->\n"
        '<Realm className="org.apache.catalina.realm.LockOutRealm" transportGuaranteeRedirectStatus="301"> … </Realm>',
        "node": "http.createServer((req, res) => {\n"
        "  res.writeHead(301, { Location: `https://www.example.com${req.url}` }).end()\n}).listen(80)",
        "load balancer": "Add a rule to the listener of port 80: redirect to HTTPS, port 443, status 301, same host.",
        "outsystems": _OUTSYSTEMS_SCREENS,
    },
)
REFUSE: Final = Fix(
    "Serve the integration only over HTTPS, and refuse it over plain HTTP rather than redirect.",
    {
        "nginx": _REFUSE_NGINX,
        "apache": "<VirtualHost *:80>\n    ServerName api.example.com\n    <Location />\n        Require all denied\n"
        "    </Location>\n</VirtualHost>",
        "iis": '<!-- web.config -->\n<security><access sslFlags="Ssl" /></security>',
        "haproxy": "http-request deny deny_status 403 unless { ssl_fc }",
        "tomcat": "Remove the Connector of plain HTTP: a transport-guarantee would redirect, not refuse.",
        "node": "http.createServer((req, res) => res.writeHead(403).end()).listen(80)",
        "load balancer": "Answer on port 80 with a fixed response 403, or have no listener there.",
        "outsystems": _OUTSYSTEMS_INTEGRATIONS,
    },
)
HSTS: Final = Fix(
    "Send the header with every answer over HTTPS, and with none over plain HTTP. Begin with a short max-age.",
    {
        "nginx": _HSTS_NGINX,
        "apache": _HSTS_APACHE,
        "iis": '<!-- web.config: also as <hsts enabled="true"> of the site since IIS 10.0 1709 -->\n'
        "<httpProtocol><customHeaders>\n"
        '  <add name="Strict-Transport-Security" value="max-age=31536000; includeSubDomains" />\n'
        "</customHeaders></httpProtocol>",
        "haproxy": _HSTS_HAPROXY.format("max-age=31536000; includeSubDomains"),
        "tomcat": _hsts_filter(31_536_000, preload=False),
        "node": "res.setHeader('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')",
        "load balancer": "Switch HSTS on in the HTTP profile of the HTTPS virtual server: a year, with subdomains.",
        "outsystems": _OUTSYSTEMS_HSTS,
    },
)
PRELOAD: Final = Fix(
    "Send max-age of a year or more, includeSubDomains and preload, redirect on the same host, then submit the domain "
    "at hstspreload.org. It takes months to undo: every subdomain must speak HTTPS for good.",
    {
        "nginx": 'add_header Strict-Transport-Security "max-age=63072000; includeSubDomains; preload" always;',
        "apache": 'Header always set Strict-Transport-Security "max-age=63072000; includeSubDomains; preload"',
        "iis": "<!-- web.config, in customHeaders -->\n"
        '<add name="Strict-Transport-Security" value="max-age=63072000; includeSubDomains; preload" />',
        "haproxy": _HSTS_HAPROXY.format("max-age=63072000; includeSubDomains; preload"),
        "tomcat": _hsts_filter(63_072_000, preload=True),
        "node": "res.setHeader('Strict-Transport-Security', 'max-age=63072000; includeSubDomains; preload')",
        "load balancer": "Switch HSTS on in the HTTP profile: two years, with subdomains, preload.",
    },
)
CONTENT: Final = Fix(
    "Write https: (or no scheme) in redirects, links, forms and resources; let browsers upgrade what is left.",
    {
        "nginx": 'add_header Content-Security-Policy "upgrade-insecure-requests" always;',
        "apache": 'Header always set Content-Security-Policy "upgrade-insecure-requests"',
        "iis": "<!-- web.config, in customHeaders -->\n"
        '<add name="Content-Security-Policy" value="upgrade-insecure-requests" />',
        "haproxy": 'http-response set-header Content-Security-Policy "upgrade-insecure-requests"',
        "node": "res.setHeader('Content-Security-Policy', 'upgrade-insecure-requests')",
        "behind a proxy": "Let the application know that the client came by HTTPS: X-Forwarded-Proto, and trust it.",
    },
)
COOKIES: Final = Fix(
    "Set every cookie with Secure.",
    {
        "nginx": "proxy_cookie_flags ~ secure;",
        "apache": 'Header edit Set-Cookie "(?i)^((?!.*;\\s*secure).*)$" "$1; Secure"\n'
        'Header always edit Set-Cookie "(?i)^((?!.*;\\s*secure).*)$" "$1; Secure"',
        "iis": '<!-- web.config -->\n<httpCookies requireSSL="true" />',
        "load balancer": "Let the application set it; where it cannot, rewrite Set-Cookie (F5: HTTP::cookie secure).",
        "tomcat": "<!-- web.xml, in session-config -->\n<cookie-config><secure>true</secure></cookie-config>",
        "node": "// with Express: res.cookie('session', id, { secure: true, httpOnly: true, sameSite: 'lax' })\n"
        "res.setHeader('Set-Cookie', `session=${id}; Secure; HttpOnly; SameSite=Lax; Path=/`)",
        "outsystems": "Turn on the environment's setting Secure Cookies, with HSTS or Force HTTPS for screens.",
    },
)
CLIENT_CERTIFICATE: Final = Fix(
    "Request client certificates where they are required, and refuse requests without a valid one there.",
    {
        "nginx": "ssl_client_certificate /etc/ssl/clients-ca.pem;\nssl_verify_client on;",
        "apache": "SSLCACertificateFile /etc/ssl/clients-ca.pem\nSSLVerifyClient require\n"
        "# as many as the certificates above a client's own\nSSLVerifyDepth 2",
        "iis": '<!-- web.config -->\n<security><access sslFlags="Ssl, SslNegotiateCert, SslRequireCert" /></security>',
        "haproxy": "bind :443 ssl crt /etc/haproxy/site.pem ca-file /etc/haproxy/clients-ca.pem verify required",
        "tomcat": "<!-- keytool -importcert -noprompt -alias clients -file conf/clients-ca.pem "
        "-keystore conf/clients-ca.p12 -storepass changeit -->\n"
        '<SSLHostConfig certificateVerification="required" truststoreFile="conf/clients-ca.p12"\n'
        '               truststorePassword="changeit"> … </SSLHostConfig>',
        "node": "https.createServer({ requestCert: true, rejectUnauthorized: true, ca, key, cert }, handler)",
        "load balancer": "In the client SSL profile: client certificate required, and the CAs that are trusted for it.",
        "outsystems": "On premises only: the property HTTP Security of screen or SOAP service, "
        "SSL/TLS with client certificates.",
    },
)
NODES: Final = Fix("Give every node behind the name the same configuration, and reload each of them.", {})

_SERVED: Final = {
    "nginx": "server {\nlisten 80;\nserver_name x;\nlocation / { return 200 '<!doctype html><p>fine'; }\n}",
    "apache": "<VirtualHost *:80>\n    DocumentRoot FOLDER/page\n</VirtualHost>",
}
_TEMPORARY: Final = {
    "nginx": "server {\nlisten 80;\nserver_name x;\nreturn 302 https://$host$request_uri;\n}",
    "apache": "<VirtualHost *:80>\n    ServerName www.example.com\n    Redirect / "
    "https://www.example.com/\n</VirtualHost>",
}
NO_TLS: Final = Mistake("listen 443;", "<VirtualHost *:443>\n    DocumentRoot FOLDER/page\n</VirtualHost>")
SERVED: Final = Mistake(
    "",
    "",
    plain=_SERVED,
    application='kind = "mobile-backend"\npaths = [ { path = "/app" } ]',
    role="monitoring",
)
MOVED_FOR_NOW: Final = Mistake("", "", plain=_TEMPORARY)
SERVED_TO_PROGRAMS: Final = Mistake(
    "",
    "",
    plain=_SERVED,
    application='kind = "service"\nintegrations = [ { path = "/api", kind = "rest" } ]',
)
NO_HSTS: Final = Mistake("add_header X-Frame-Options DENY;", 'Header always set X-Frame-Options "DENY"')
SHORT_HSTS: Final = Mistake(
    'add_header Strict-Transport-Security "max-age=86400" always;',
    'Header always set Strict-Transport-Security "max-age=86400"',
)
NO_PRELOAD: Final = Mistake(
    'add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;',
    'Header always set Strict-Transport-Security "max-age=31536000; includeSubDomains"',
)
MIXED: Final = Mistake(
    "location / { return 200 '<!doctype html><script src=\"http://$host/a.js\"></script>'; }",
    "DocumentRoot FOLDER/mixed",
)
INSECURE_COOKIE: Final = Mistake(
    "location / { proxy_pass http://127.0.0.1:BACKEND; }", "ProxyPass / http://127.0.0.1:BACKEND/"
)
ANYBODY: Final = Mistake(
    "ssl_verify_client off;",
    "SSLVerifyClient none",
    application='kind = "traditional-web"\nhttps = "tls-client-certificate"\n'
    'client_certificate = { cert = "client.pem", key = "client.key" }',
)
