"""Terraform's and OpenTofu's state: where the common providers' resources say their host names.

A type that is not in the table is counted by its name, so that nobody takes what was read for all there is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from scanner.errors import ConfigError
from scanner.inventories.json_text import items_in, json_of, object_in, yaml_of
from scanner.inventories.manifests import add_object
from scanner.inventories.source import HTTPS_PORT, Contents, Options, add_name, add_open_port, refused

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    kind: tuple(keys.split())
    for kinds, keys in (
        # Amazon.
        ("aws_route53_record", "fqdn"),
        ("aws_acm_certificate", "domain_name subject_alternative_names"),
        ("aws_cloudfront_distribution", "aliases domain_name"),
        ("aws_lb aws_alb aws_elb aws_globalaccelerator_accelerator", "dns_name"),
        ("aws_lb_listener_rule aws_alb_listener_rule", "condition.host_header.values"),
        ("aws_api_gateway_domain_name aws_apigatewayv2_domain_name", "domain_name"),
        ("aws_apigatewayv2_api", "api_endpoint"),
        ("aws_api_gateway_stage", "invoke_url"),
        ("aws_lambda_function_url", "function_url"),
        ("aws_apprunner_service", "service_url"),
        ("aws_apprunner_custom_domain_association aws_amplify_domain_association", "domain_name"),
        ("aws_elastic_beanstalk_environment", "cname"),
        ("aws_eks_cluster", "endpoint"),
        ("aws_opensearch_domain aws_elasticsearch_domain", "endpoint domain_endpoint_options.custom_endpoint"),
        # Azure.
        ("azurerm_app_service_custom_hostname_binding azurerm_app_service_slot_custom_hostname_binding", "hostname"),
        ("azurerm_dns_a_record azurerm_dns_aaaa_record azurerm_dns_cname_record", "fqdn"),
        ("azurerm_private_dns_a_record azurerm_private_dns_aaaa_record azurerm_private_dns_cname_record", "fqdn"),
        ("azurerm_linux_web_app azurerm_windows_web_app azurerm_linux_function_app", "default_hostname"),
        ("azurerm_windows_function_app azurerm_function_app", "default_hostname"),
        ("azurerm_app_service", "default_site_hostname"),
        ("azurerm_static_site azurerm_static_web_app", "default_host_name"),
        ("azurerm_static_site_custom_domain azurerm_static_web_app_custom_domain", "domain_name"),
        ("azurerm_public_ip azurerm_traffic_manager_profile azurerm_kubernetes_cluster", "fqdn"),
        ("azurerm_frontdoor", "frontend_endpoint.host_name"),
        ("azurerm_cdn_frontdoor_endpoint azurerm_cdn_frontdoor_custom_domain", "host_name"),
        ("azurerm_cdn_endpoint_custom_domain", "host_name"),
        ("azurerm_cdn_endpoint", "fqdn|host_name"),
        ("azurerm_application_gateway", "http_listener.host_name http_listener.host_names"),
        ("azurerm_api_management", "gateway_url"),
        ("azurerm_api_management_custom_domain", "gateway.host_name developer_portal.host_name management.host_name"),
        ("azurerm_container_app", "ingress.fqdn|latest_revision_fqdn"),
        ("azurerm_container_app_custom_domain azurerm_spring_cloud_custom_domain", "name"),
        # Google.
        ("google_dns_record_set google_cloud_run_domain_mapping", "name"),
        ("google_cloud_run_service", "status.url"),
        ("google_cloud_run_v2_service", "uri"),
        ("google_compute_managed_ssl_certificate", "managed.domains"),
        ("google_certificate_manager_certificate", "managed.domains san_dnsnames"),
        ("google_compute_url_map google_compute_region_url_map", "host_rule.hosts"),
        ("google_app_engine_domain_mapping", "domain_name"),
        ("google_firebase_hosting_custom_domain", "custom_domain"),
        ("google_apigee_envgroup", "hostnames"),
        # Cloudflare.
        ("cloudflare_record", "hostname"),
        ("cloudflare_dns_record cloudflare_load_balancer", "name"),
        ("cloudflare_custom_hostname cloudflare_workers_domain cloudflare_workers_custom_domain", "hostname"),
        ("cloudflare_worker_domain", "hostname"),
        ("cloudflare_certificate_pack", "hosts"),
        ("cloudflare_origin_ca_certificate", "hostnames"),
        ("cloudflare_pages_domain", "domain|name"),
        # Others.
        ("digitalocean_record", "fqdn"),
        ("digitalocean_certificate", "domains"),
        ("digitalocean_loadbalancer", "ip"),
        ("digitalocean_app", "live_url|default_ingress"),
        ("hcloud_load_balancer", "ipv4"),
        ("hcloud_managed_certificate", "domain_names"),
        ("fastly_service_vcl fastly_service_compute", "domain.name"),
        ("heroku_domain", "hostname"),
        ("vercel_project_domain", "domain"),
        ("acme_certificate", "common_name subject_alternative_names"),
        ("tls_self_signed_cert tls_cert_request", "dns_names subject.common_name"),
        # Clusters.
        ("kubernetes_ingress kubernetes_ingress_v1", "spec.rule.host spec.tls.hosts"),
    )
    for kind in kinds.split()
}
"""Where resources say their host names: keys, in which dots lead into blocks, and of which a bar takes the first."""
_SERVICES: Final = frozenset({"kubernetes_service", "kubernetes_service_v1"})
_MANIFESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes_manifest": ("object", "manifest"),
    "kubectl_manifest": ("yaml_body_parsed", "yaml_body"),
}
_RECORD_TYPES: Final = frozenset({"A", "AAAA", "CNAME"})


def read_terraform(name: str, data: bytes, options: Options) -> Contents:
    """Read a state (version 4): records, certificates, load balancers, distributions, ingresses.

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
    for number, resource in enumerate(state["resources"], 1):
        if not isinstance(resource, dict):
            raise refused(name, "is not an object", part=f"element {number} of resources")
        kind, called = str(resource.get("type")), _address(resource)
        if resource.get("mode") != "managed":
            contents.leave_out("data source", f"that is managed elsewhere ({kind})", called)
        elif kind not in _NAMES and kind not in _SERVICES and kind not in _MANIFESTS:
            contents.leave_out("resource", f"of a type that is not read ({kind})", called)
        else:
            for at, attributes in _instances(name, resource, called):
                contents.part = at
                _add(contents, kind, attributes, at, options)
    return contents.once()


def _address(resource: Mapping[str, Any]) -> str:
    """A resource as Terraform names it: its module, its type and its name."""
    kind = f"{'data.' if resource.get('mode') == 'data' else ''}{resource.get('type')}"
    return ".".join(filter(None, (str(resource.get("module") or ""), kind, str(resource.get("name", "?")))))


def _instances(name: str, resource: Mapping[str, Any], called: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The instances of a resource, as Terraform names them, and their attributes.

    Raises:
        ConfigError: what should be one is none.
    """
    instances = resource.get("instances", [])
    if not isinstance(instances, list):
        raise refused(name, "has instances that are not a list", part=called)
    for number, instance in enumerate(instances):
        key = object_in(instance).get("index_key")
        at = (
            called if key is None and len(instances) == 1 else f"{called}[{json.dumps(number if key is None else key)}]"
        )
        attributes = object_in(instance).get("attributes")
        if not isinstance(attributes, dict):
            raise refused(name, "has no attributes", hint="terraform state pull writes them", part=at)
        yield at, attributes


def _add(contents: Contents, kind: str, attributes: Mapping[str, Any], called: Any, options: Options) -> None:
    record = attributes.get("type")
    if isinstance(record, str) and "record" in kind and record.upper() not in _RECORD_TYPES:
        contents.leave_out("record", "without an address", f"{attributes.get('name')} {record}")
        return
    if kind in _SERVICES:
        _service(contents, attributes, called, options)
        return
    if kind in _MANIFESTS:
        _manifest(contents, kind, attributes, called, options)
        return
    found = [host for keys in _NAMES[kind] for host in _first(attributes, keys)]
    if not found:
        contents.leave_out("resource", f"without a host name ({kind})", called)
    for host in dict.fromkeys(found):
        _add_host(contents, host)


def _add_host(contents: Contents, said: str) -> None:
    """Add a name, or the host and port of a URL."""
    if "://" not in said:
        add_name(contents, said)
        return
    try:
        parts = urlsplit(said)
        host, port = parts.hostname or said, parts.port
    except ValueError:
        host, port = said, None
    add_name(contents, host, **({"port": port} if port not in {None, HTTPS_PORT} else {}))


def _first(attributes: Mapping[str, Any], keys: str) -> list[str]:
    """What the first of several keys says that says anything."""
    for key in keys.split("|"):
        if found := list(_at(attributes, key.split("."))):
            return found
    return []


def _at(value: Any, way: list[str]) -> Iterator[str]:
    """The texts at the end of a way through blocks, of which each may stand several times."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, way)
    elif way:
        yield from _at(object_in(value).get(way[0]), way[1:])
    elif isinstance(value, str) and value.strip():
        yield value


def _service(contents: Contents, attributes: Mapping[str, Any], called: Any, options: Options) -> None:
    if "LoadBalancer" not in _at(attributes, ["spec", "type"]):
        contents.leave_out("service", "reachable only inside the cluster", called)
        return
    reached = ["status", "load_balancer", "ingress"]
    hosts = [*_at(attributes, [*reached, "hostname"])] or [*_at(attributes, [*reached, "ip"])]
    if not hosts:
        contents.leave_out("service", "without an address yet", called)
    for spec in map(object_in, items_in(attributes.get("spec"))):
        for port in (object_in(entry).get("port") for entry in items_in(spec.get("port"))):
            for host in hosts:
                if isinstance(port, int):
                    add_open_port(contents, host, port, options)


def _manifest(contents: Contents, kind: str, attributes: Mapping[str, Any], called: Any, options: Options) -> None:
    """Add an object of Kubernetes that a state has as a value, with its type or without, or as YAML."""
    said = next((attributes[key] for key in _MANIFESTS[kind] if attributes.get(key)), None)
    try:
        documents = yaml_of(contents.name, said.encode()) if isinstance(said, str) else [said]
    except ConfigError:
        documents = []
    found = [object_in(object_in(item).get("value")) or object_in(item) for item in documents]
    objects = [item for item in found if isinstance(item.get("kind"), str)]
    if not objects:
        contents.leave_out("resource", f"that cannot be read ({kind})", called)
    for item in objects:
        add_object(contents, item, options)
