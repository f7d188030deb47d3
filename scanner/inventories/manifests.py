"""What clusters and clouds say of themselves: Kubernetes manifests, Terraform state, Prometheus targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from scanner.inventories.json_text import json_of, yaml_of
from scanner.inventories.source import (
    HTTPS_PORT,
    KNOWN_PORTS,
    Contents,
    Options,
    add_name,
    add_open_port,
    endpoint,
    refused,
)
from scanner.inventories.tabular import host_and_port

_HOSTNAMES: Final = "external-dns.alpha.kubernetes.io/hostname"
_ROUTES: Final = frozenset({"HTTPRoute", "TLSRoute", "GRPCRoute"})
_CLUSTER: Final = frozenset({"Ingress", "Gateway", "Service", "Route", *_ROUTES})


def read_kubernetes(name: str, data: bytes, options: Options) -> Contents:
    """Read Ingress, Gateway API, Service and OpenShift's Route: manifests in YAML, or `kubectl get -o json`.

    Raises:
        ConfigError: it is not YAML or JSON, or holds no object of Kubernetes.
    """
    contents = Contents(name)
    found = [item for document in yaml_of(name, data) for item in _objects(document)]
    if not found:
        raise refused(name, "holds no object of Kubernetes", 1, "kubectl get ingress,service -A -o json writes them")
    for item in found:
        kind = str(item.get("kind"))
        metadata, spec = _dict(item.get("metadata")), _dict(item.get("spec"))
        called = f"{kind} {metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
        more = {"labels": {"namespace": str(metadata["namespace"])}} if metadata.get("namespace") else {}
        if kind == "Ingress":
            _ingress(contents, spec, called, more)
        elif kind == "Gateway":
            _gateway(contents, spec, called, more)
        elif kind in _ROUTES:
            _names(contents, spec.get("hostnames"), more)
        elif kind == "Route":
            _names(contents, [spec.get("host")], more)
        elif kind == "Service":
            _service(contents, item, called, options)
        else:
            contents.leave_out("object", f"without host names ({kind})", called)
    return contents.once()


def _objects(document: Any) -> Iterator[Mapping[str, Any]]:
    item = _dict(document)
    kind = item.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and kind.removesuffix("List") in {"", *_CLUSTER}:
        yield from (one for each in _items(item.get("items")) for one in _objects(each))
    elif isinstance(kind, str) and "apiVersion" in item:
        yield item


def _ingress(contents: Contents, spec: Mapping[str, Any], called: str, more: Mapping[str, Any]) -> None:
    rules = [_dict(rule).get("host") for rule in _items(spec.get("rules"))]
    secured = [host for entry in _items(spec.get("tls")) for host in _items(_dict(entry).get("hosts"))]
    if not any(rules) and not secured:
        contents.leave_out("object", "for every host", called)
    _names(contents, [*rules, *secured], more)


def _gateway(contents: Contents, spec: Mapping[str, Any], called: str, more: Mapping[str, Any]) -> None:
    for listener in map(_dict, _items(spec.get("listeners"))):
        if listener.get("protocol") not in {"HTTPS", "TLS"}:
            contents.leave_out("listener", "without TLS", f"{called} {listener.get('name', '')}")
        elif not listener.get("hostname"):
            contents.leave_out("object", "for every host", f"{called} {listener.get('name', '')}")
        else:
            port = listener.get("port")
            number = port if isinstance(port, int) and port != HTTPS_PORT else None
            add_name(contents, str(listener["hostname"]), **more, **({"port": number} if number else {}))


def _service(contents: Contents, item: Mapping[str, Any], called: str, options: Options) -> None:
    metadata, spec, status = (_dict(item.get(key)) for key in ("metadata", "spec", "status"))
    if spec.get("type") != "LoadBalancer":
        contents.leave_out("service", "reachable only inside the cluster", called)
        return
    said = str(_dict(metadata.get("annotations")).get(_HOSTNAMES, ""))
    hosts = [host.strip() for host in said.split(",") if host.strip()]
    reached = [_dict(entry) for entry in _items(_dict(status.get("loadBalancer")).get("ingress"))]
    hosts = hosts or [str(entry.get("hostname") or entry.get("ip")) for entry in reached]
    if not hosts:
        contents.leave_out("service", "without an address yet", called)
    for port in (_dict(entry).get("port") for entry in _items(spec.get("ports"))):
        for host in hosts:
            if isinstance(port, int):
                add_open_port(contents, host, port, options)


def _names(contents: Contents, names: Any, more: Mapping[str, Any]) -> None:
    for host in _items(names):
        if host:
            add_name(contents, str(host), **more)


_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "aws_route53_record": ("fqdn", "name"),
    "aws_acm_certificate": ("domain_name", "subject_alternative_names"),
    "aws_cloudfront_distribution": ("aliases", "domain_name"),
    "aws_lb": ("dns_name",),
    "aws_alb": ("dns_name",),
    "aws_elb": ("dns_name",),
    "aws_api_gateway_domain_name": ("domain_name",),
    "aws_apigatewayv2_domain_name": ("domain_name",),
    "azurerm_app_service_custom_hostname_binding": ("hostname",),
    "azurerm_dns_a_record": ("fqdn",),
    "azurerm_dns_cname_record": ("fqdn",),
    "azurerm_linux_web_app": ("default_hostname",),
    "azurerm_windows_web_app": ("default_hostname",),
    "azurerm_public_ip": ("fqdn",),
    "azurerm_cdn_endpoint_custom_domain": ("host_name",),
    "azurerm_cdn_frontdoor_custom_domain": ("host_name",),
    "cloudflare_record": ("hostname",),
    "cloudflare_dns_record": ("name",),
    "google_dns_record_set": ("name",),
    "google_cloud_run_domain_mapping": ("name",),
    "digitalocean_record": ("fqdn",),
    "digitalocean_loadbalancer": ("ip",),
    "hcloud_load_balancer": ("ipv4",),
}
"""Where resources of Terraform's common providers say their host names."""
_RECORD_TYPES: Final = frozenset({"A", "AAAA", "CNAME"})


def read_terraform(name: str, data: bytes, options: Options) -> Contents:  # noqa: ARG001  # as all readers
    """Read Terraform's or OpenTofu's state (version 4): records, certificates, load balancers, distributions.

    Raises:
        ConfigError: it is not that.
    """
    state = json_of(name, data)
    if not isinstance(state, dict) or not isinstance(state.get("resources"), list):
        raise refused(name, "is not a state of Terraform", hint="terraform state pull writes it")
    if state.get("version") != 4:  # noqa: PLR2004  # of the form of states, since Terraform 0.12
        raise refused(
            name, f"is a state of version {state.get('version')!r}, not 4", hint="terraform refresh renews it"
        )
    contents = Contents(name)
    for resource in map(_dict, state["resources"]):
        kind = str(resource.get("type"))
        if resource.get("mode") != "managed":
            continue
        if kind not in _ATTRIBUTES:
            contents.leave_out("resource", f"without a host name ({kind})", resource.get("name", "?"))
            continue
        for instance in map(_dict, _items(resource.get("instances"))):
            _resource(contents, kind, _dict(instance.get("attributes")))
    return contents.once()


def _resource(contents: Contents, kind: str, attributes: Mapping[str, Any]) -> None:
    record = attributes.get("type")
    if isinstance(record, str) and kind.endswith(("record", "record_set")) and record.upper() not in _RECORD_TYPES:
        contents.leave_out("record", "without an address", f"{attributes.get('name')} {record}")
        return
    keys = _ATTRIBUTES[kind]
    found = [attributes.get(key) for key in keys]
    # Of a record the first that is there; of the others everything that they are called.
    said = [next((value for value in found if value), None)] if kind.endswith("record") else found
    for value in said:
        for host in value if isinstance(value, list) else [value]:
            if isinstance(host, str) and host:
                add_name(contents, host)


def read_prometheus(name: str, data: bytes, options: Options) -> Contents:
    """Read targets of the blackbox exporter as files (file_sd): URLs and host:port, with their labels.

    Raises:
        ConfigError: it is not that.
    """
    documents = yaml_of(name, data)
    groups = documents[0] if documents else None
    if not isinstance(groups, list) or not all(isinstance(item, dict) and "targets" in item for item in groups):
        raise refused(name, "is not a list of target groups", 1, "each with targets and labels, as file_sd has them")
    contents = Contents(name)
    for group in groups:
        labels = {
            str(key): str(value)
            for key, value in _dict(group.get("labels")).items()
            if not str(key).startswith("__") and str(value)
        }
        for target in map(str, _items(group["targets"])):
            if target.startswith("http://"):
                contents.leave_out("target", "of plain HTTP", target)
                continue
            host, port = host_and_port(target)
            if (
                port is not None
                and port not in KNOWN_PORTS
                and not (target.startswith("https://") or options.all_ports)
            ):
                add_open_port(contents, host, port, options)
                continue
            contents.add({**endpoint(host, port), **({"labels": labels} if labels else {})})
    return contents.once()


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
