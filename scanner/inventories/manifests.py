"""What clusters say of themselves, and what watches them: Kubernetes manifests, Prometheus targets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from scanner.inventories.json_text import Way, items_in, line_of, lines_of, object_in, yaml_of
from scanner.inventories.source import (
    HTTPS_PORT,
    KNOWN_PORTS,
    Contents,
    Options,
    add_name,
    add_open_port,
    endpoint,
    is_host,
    refused,
)
from scanner.inventories.tabular import host_and_port

_HOSTNAMES: Final = "external-dns.alpha.kubernetes.io/hostname"
_ROUTES: Final = frozenset({"HTTPRoute", "TLSRoute", "GRPCRoute"})
_CLUSTER: Final = frozenset({"Ingress", "Gateway", "Service", "Route", "IngressRoute", "Certificate", *_ROUTES})
_WITH_TLS: Final = frozenset({"HTTPS", "TLS"})
_HOST_RULE: Final = re.compile(r"Host(?:SNI)?\(([^)]*)\)")
_LOGIN: Final = re.compile(r"//[^/@?#\s]*@")
_QUOTED: Final = re.compile(r"[`\"]([^`\"]+)[`\"]")
"""Traefik's rules: Host(`a.example`, `b.example`)."""


def read_kubernetes(name: str, data: bytes, options: Options) -> Contents:
    """Read Ingress, Gateway API, Service and what else names hosts: manifests in YAML, or `kubectl get -o json`.

    Besides these: OpenShift's Route, Istio's Gateway, Traefik's IngressRoute and cert-manager's Certificate.

    Raises:
        ConfigError: it is not YAML or JSON, or holds no object of Kubernetes.
    """
    contents = Contents(name)
    found = [item for document in yaml_of(name, data) for item in _objects(document)]
    if not found:
        raise refused(name, "holds no object of Kubernetes", 1, "kubectl get ingress,service -A -o json writes them")
    gateways = {_called(item): _listeners(item) for item in found if item.get("kind") == "Gateway"}
    for item in found:
        add_object(contents, item, options, gateways)
    return contents.once()


Listeners = Mapping[str, Sequence[Mapping[str, Any]]]
"""The listeners of each gateway, by its `Gateway namespace/name`."""


def add_object(
    contents: Contents, item: Mapping[str, Any], options: Options, gateways: Listeners = MappingProxyType({})
) -> None:
    """Add the hosts of an object of Kubernetes, or say why it names none."""
    kind, called = str(item.get("kind")), _called(item)
    metadata, spec = object_in(item.get("metadata")), object_in(item.get("spec"))
    more = {"labels": {"namespace": str(metadata["namespace"])}} if metadata.get("namespace") else {}
    contents.part = called
    if kind == "Ingress":
        _ingress(contents, spec, called, more)
    elif kind == "Gateway":
        _gateway(contents, item, called, more)
    elif kind in _ROUTES:
        _route(contents, item, gateways, more)
    elif kind == "Route":
        _names(contents, [spec.get("host")], called, more)
        _assume(contents, [spec.get("host")] if not spec.get("tls") else [], "of a Route without tls", called)
    elif kind == "IngressRoute":
        rules = (str(object_in(route).get("match", "")) for route in items_in(spec.get("routes")))
        hosts = [host for rule in rules for found in _HOST_RULE.findall(rule) for host in _QUOTED.findall(found)]
        _names(contents, hosts, called, more)
        _assume(contents, hosts if spec.get("tls") is None else [], "of an IngressRoute without tls", called)
    elif kind == "Certificate" and str(item.get("apiVersion")).startswith("cert-manager.io/"):
        _names(contents, [*items_in(spec.get("dnsNames")), spec.get("commonName")], called, more)
    elif kind == "Service":
        _service(contents, item, called, options)
    else:
        contents.leave_out("object", f"of a kind that is not read ({kind})", called)


def _called(item: Mapping[str, Any]) -> str:
    metadata = object_in(item.get("metadata"))
    return f"{item.get('kind')} {metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"


def _objects(document: Any) -> Iterator[Mapping[str, Any]]:
    item = object_in(document)
    kind = item.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and kind.removesuffix("List") in {"", *_CLUSTER}:
        # The API server does not repeat in its items what its list is of; kubectl does.
        said = {"kind": kind.removesuffix("List"), "apiVersion": item.get("apiVersion")} if kind != "List" else {}
        yield from (one for each in items_in(item.get("items")) for one in _objects({**said, **object_in(each)}))
    elif isinstance(kind, str) and "apiVersion" in item:
        yield item


def _ingress(contents: Contents, spec: Mapping[str, Any], called: str, more: Mapping[str, Any]) -> None:
    """The hosts of an Ingress; those that its `tls` does not name are taken, too.

    Controllers and load balancers before them serve these over HTTPS as well, by annotations or a certificate of their
    own; and one that is served in plain alone is what an owner wants to be told of.
    """
    rules = [object_in(rule).get("host") for rule in items_in(spec.get("rules"))]
    entries = [items_in(object_in(entry).get("hosts")) for entry in items_in(spec.get("tls"))]
    secured = [str(host) for hosts in entries for host in hosts]
    _names(contents, [*rules, *secured], called, more)
    if all(entries):  # an entry without hosts is for all of them
        open_ones = [host for host in rules if not any(_covers(wide, str(host)) for wide in secured)]
        _assume(contents, open_ones, "of an Ingress without tls for it", called)


def _assume(contents: Contents, hosts: Iterable[Any], why: str, called: str) -> None:
    """Tell of the hosts that are taken though their object says nothing of TLS."""
    for host in dict.fromkeys(host for host in hosts if isinstance(host, str)):
        if is_host(host):
            contents.assume("host", why, f"{called} {host}")


def _covers(wide: str, host: str) -> bool:
    """Whether a host of `tls` is this one, or a wildcard over its domain."""
    wide, host = wide.casefold(), host.casefold()
    return wide == host or (wide.startswith("*.") and host.partition(".")[2] == wide[2:])


def _listeners(gateway: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The listeners of a gateway: of Kubernetes' own, and Istio's servers in the same words."""
    spec = object_in(gateway.get("spec"))
    found = [object_in(item) for item in items_in(spec.get("listeners"))]
    for server in map(object_in, items_in(spec.get("servers"))):
        port = object_in(server.get("port"))
        for host in items_in(server.get("hosts")):
            # Istio's hosts may be led by a namespace, and "*" is every host.
            name = str(host).rpartition("/")[2]
            found.append(
                {
                    "name": port.get("name", ""),
                    "protocol": port.get("protocol"),
                    "port": port.get("number"),
                    "hostname": "" if name == "*" else name,
                }
            )
    return found


def _gateway(contents: Contents, item: Mapping[str, Any], called: str, more: Mapping[str, Any]) -> None:
    listeners = _listeners(item)
    if not listeners:
        contents.leave_out("object", "without listeners", called)
    for listener in listeners:
        if listener.get("protocol") not in _WITH_TLS:
            contents.leave_out("listener", "without TLS", f"{called} {listener.get('name', '')}")
        elif not listener.get("hostname"):
            contents.leave_out("object", "for every host", f"{called} {listener.get('name', '')}")
        else:
            number = _other_port(listener)
            add_name(contents, str(listener["hostname"]), **more, **({"port": number} if number else {}))


def _other_port(listener: Mapping[str, Any]) -> int | None:
    port = listener.get("port")
    return port if isinstance(port, int) and port != HTTPS_PORT else None


def _route(contents: Contents, item: Mapping[str, Any], gateways: Listeners, more: Mapping[str, Any]) -> None:
    """The hosts of a route, at the ports of the listeners that it is attached to, as far as these are in the file.

    Where all of its gateways are, and none of their listeners takes a host by TLS, no HTTPS is there. Of gateways that
    are not in the file nobody knows that.
    """
    spec, namespace = object_in(item.get("spec")), object_in(item.get("metadata")).get("namespace", "default")
    protocol = "TLS" if item.get("kind") == "TLSRoute" else "HTTPS"
    parents = [object_in(parent) for parent in items_in(spec.get("parentRefs"))]
    if parents and all(parent.get("kind") == "Service" for parent in parents):
        contents.leave_out("route", "reachable only inside the cluster", _called(item))
        return
    named = {f"Gateway {parent.get('namespace', namespace)}/{parent.get('name')}": parent for parent in parents}
    all_known = bool(named) and named.keys() <= gateways.keys()
    attached = [
        listener
        for parent in parents
        for listener in gateways.get(f"Gateway {parent.get('namespace', namespace)}/{parent.get('name')}", ())
        if parent.get("sectionName") in {None, listener.get("name")}
        and parent.get("port") in {None, listener.get("port")}
        and listener.get("protocol") == protocol
    ]
    hosts = [str(host) for host in items_in(spec.get("hostnames")) if host]
    if not hosts:
        contents.leave_out("object", "for every host", _called(item))
    for host in hosts:
        ports = dict.fromkeys(_other_port(listener) for listener in attached if _takes(listener, host))
        if all_known and not ports:
            contents.leave_out("route", "without a listener with TLS", f"{_called(item)} {host}")
            continue
        if not ports:
            _assume(contents, [host], "of a route whose gateway is not in the file", _called(item))
        for port in ports or (None,):
            add_name(contents, host, **more, **({"port": port} if port else {}))


def _takes(listener: Mapping[str, Any], host: str) -> bool:
    """Whether a listener, which may be for one host or those under a domain, is for this one, or some of these."""
    of, host = str(listener.get("hostname") or "").casefold(), host.casefold()
    return of in {"", host} or any(
        wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:])
        for wide, narrow in ((of, host), (host, of))
    )


def _service(contents: Contents, item: Mapping[str, Any], called: str, options: Options) -> None:
    metadata, spec, status = (object_in(item.get(key)) for key in ("metadata", "spec", "status"))
    if spec.get("type") != "LoadBalancer":
        contents.leave_out("service", "reachable only inside the cluster", called)
        return
    said = str(object_in(metadata.get("annotations")).get(_HOSTNAMES, ""))
    hosts = [host.strip() for host in said.split(",") if host.strip()]
    reached = [object_in(entry) for entry in items_in(object_in(status.get("loadBalancer")).get("ingress"))]
    hosts = hosts or [str(entry.get("hostname") or entry.get("ip")) for entry in reached]
    if not hosts:
        contents.leave_out("service", "without an address yet", called)
    for port in (object_in(entry).get("port") for entry in items_in(spec.get("ports"))):
        for host in hosts:
            if isinstance(port, int):
                add_open_port(contents, host, port, options)


def _names(contents: Contents, names: Any, called: str, more: Mapping[str, Any]) -> None:
    found = {str(host): host for host in items_in(names) if host}
    if not found:
        contents.leave_out("object", "for every host", called)
    for said, host in found.items():
        if isinstance(host, str):
            add_name(contents, host, **more)
        else:  # what YAML takes for a truth, a number or a day
            contents.leave_out(("entry", "entries"), "in place of a host name", f"{called}: {said}")


def read_prometheus(name: str, data: bytes, options: Options) -> Contents:
    """Read targets of the blackbox exporter as files (file_sd): URLs and host:port, with their labels.

    Raises:
        ConfigError: it is not that.
    """
    documents = yaml_of(name, data)
    groups = documents[0] if documents else None
    if not isinstance(groups, list):
        raise refused(name, "is not a list of target groups", 1, _GROUPS)
    contents = Contents(name)
    lines = lines_of(data)
    for number, group in enumerate(groups):
        labels = _labels(name, group, number, lines)
        for position, target in enumerate(group["targets"]):
            way = (number, "targets", position)
            line, contents.part = line_of(lines, way), f"group {number + 1}, target {position + 1}"
            if not isinstance(target, str):
                raise refused(name, "is not text", line, "a target is host:port or a URL", part=contents.part)
            if target.startswith("http://"):
                contents.leave_out("target", "of plain HTTP", target)
                continue
            # What the exporter logs in with is nobody's business here.
            host, port = host_and_port(_LOGIN.sub("//", target))
            if (
                port is not None
                and port not in KNOWN_PORTS
                and not (target.startswith("https://") or options.all_ports)
            ):
                add_open_port(contents, host, port, options)
                continue
            contents.add({**endpoint(host, port), **({"labels": labels} if labels else {})}, line)
    return contents.once()


_GROUPS: Final = "each with targets and labels, as file_sd has them"


def _labels(name: str, group: Any, number: int, lines: Mapping[Way, int]) -> dict[str, str]:
    """The labels of a group of targets.

    Raises:
        ConfigError: it is none, or has no list of targets.
    """
    line, part = line_of(lines, (number,)), f"group {number + 1}"
    if not isinstance(group, dict) or "targets" not in group:
        what = "has no targets" if isinstance(group, dict) else "is not an object"
        raise refused(name, f"{what}, so it is not a target group", line, _GROUPS, part=part)
    for key, kind, meant in (("targets", list, "a list"), ("labels", dict, "names with values")):
        if not isinstance(group[key] if key == "targets" else group.get(key) or {}, kind):
            at = line_of(lines, (number, key))
            raise refused(name, f'has "{key}" that are not {meant}', at, _GROUPS, part=part)
    found = (group.get("labels") or {}).items()
    said = ((str(key), _said(value)) for key, value in found)
    return {key: value for key, value in said if value and not key.startswith("__")}


def _said(value: Any) -> str:
    """The value of a label as Prometheus takes it: `true` for what YAML takes for a truth."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
