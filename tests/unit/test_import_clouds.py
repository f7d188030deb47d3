"""Hosts of clouds and clusters: each type of resource gives its names, or is counted as not read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scanner.inventories import Contents, Options, read

NESTED = {"spec": [{"rule": [{"host": "a.example"}, {"host": ""}], "tls": [{"hosts": ["a.example", "b.example"]}]}]}
SERVICE = {
    "spec": [{"type": "LoadBalancer", "port": [{"port": 443}, {"port": 8125}]}],
    "status": [{"load_balancer": [{"ingress": [{"hostname": "", "ip": "192.0.2.7"}]}]}],
}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "i"},
    "spec": {"rules": [{"host": "a.example"}]},
}
RESOURCES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("aws_route53_record", {"fqdn": "www.a.example", "name": "www", "type": "A"}, ["www.a.example"]),
    ("aws_acm_certificate", {"domain_name": "a.example", "subject_alternative_names": ["a.example", "b.example"]}, ["a.example", "b.example"]),
    ("aws_lb", {"dns_name": "lb-1.elb.example", "internal": False}, ["lb-1.elb.example"]),
    ("aws_lb_listener_rule", {"condition": [{"host_header": [{"values": ["a.example"]}]}, {"path_pattern": []}]}, ["a.example"]),
    ("aws_cloudfront_distribution", {"aliases": ["a.example"], "domain_name": "d1.cf.example"}, ["a.example", "d1.cf.example"]),
    ("aws_apigatewayv2_domain_name", {"domain_name": "api.a.example"}, ["api.a.example"]),
    ("aws_apigatewayv2_api", {"api_endpoint": "https://x1.execute.example"}, ["x1.execute.example"]),
    ("aws_eks_cluster", {"endpoint": "https://X1.eks.example:6443"}, ["x1.eks.example:6443"]),
    ("azurerm_app_service_custom_hostname_binding", {"hostname": "a.example"}, ["a.example"]),
    ("azurerm_dns_a_record", {"fqdn": "www.a.example.", "name": "www"}, ["www.a.example"]),
    ("azurerm_frontdoor", {"frontend_endpoint": [{"host_name": "a.example"}, {"host_name": "x.azurefd.example"}]}, ["a.example", "x.azurefd.example"]),
    ("azurerm_cdn_frontdoor_custom_domain", {"host_name": "a.example"}, ["a.example"]),
    ("azurerm_application_gateway", {"http_listener": [{"host_name": "a.example", "host_names": []}, {"host_name": "", "host_names": ["b.example"]}]}, ["a.example", "b.example"]),
    ("azurerm_container_app", {"ingress": [{"fqdn": "app.azure.example"}], "latest_revision_fqdn": "app--1.azure.example"}, ["app.azure.example"]),
    ("google_dns_record_set", {"name": "www.a.example.", "type": "A"}, ["www.a.example"]),
    ("google_cloud_run_domain_mapping", {"name": "run.a.example"}, ["run.a.example"]),
    ("google_cloud_run_service", {"status": [{"url": "https://x-uc.run.example"}]}, ["x-uc.run.example"]),
    ("google_compute_managed_ssl_certificate", {"managed": [{"domains": ["a.example.", "b.example"]}]}, ["a.example", "b.example"]),
    ("google_compute_url_map", {"host_rule": [{"hosts": ["a.example"]}]}, ["a.example"]),
    ("cloudflare_record", {"hostname": "www.a.example", "name": "www", "type": "CNAME"}, ["www.a.example"]),
    ("cloudflare_origin_ca_certificate", {"hostnames": ["a.example"]}, ["a.example"]),
    ("kubernetes_ingress", NESTED, ["a.example", "b.example"]),
    ("kubernetes_ingress_v1", NESTED, ["a.example", "b.example"]),
    ("kubernetes_service_v1", SERVICE, ["192.0.2.7"]),
    ("kubernetes_manifest", {"manifest": {"value": INGRESS, "type": ["object", {}]}, "object": None}, ["a.example"]),
    ("kubernetes_manifest", {"manifest": INGRESS}, ["a.example"]),
    ("kubectl_manifest", {"yaml_body": json.dumps(INGRESS)}, ["a.example"]),
    ("fastly_service_vcl", {"domain": [{"name": "a.example"}]}, ["a.example"]),
    ("tls_self_signed_cert", {"dns_names": ["a.example"], "subject": [{"common_name": "b.example"}]}, ["a.example", "b.example"]),
]  # fmt: skip


def state(*resources: tuple[str, dict[str, Any]], mode: str = "managed") -> Contents:
    listed = [
        {"mode": mode, "type": kind, "name": "it", "instances": [{"attributes": attributes}]}
        for kind, attributes in resources
    ]
    text = json.dumps({"version": 4, "terraform_version": "1.9.8", "resources": listed})
    return read("a.tfstate", text.encode(), Options())


def hosts(contents: Contents) -> list[str]:
    return [f"{host}:{port}".removesuffix(":443") for host, port in (row.place for row in contents.rows)]


def left_out(contents: Contents) -> list[str]:
    return [reason.counted(count) for reason, (count, _) in contents.left_out.items()]


@pytest.mark.parametrize(("kind", "attributes", "expected"), RESOURCES, ids=[item[0] for item in RESOURCES])
def test_a_resource_gives_its_names(kind: str, attributes: dict[str, Any], expected: list[str]) -> None:
    assert hosts(state((kind, attributes))) == expected


@pytest.mark.parametrize(("kind", "attributes", "_"), RESOURCES, ids=[item[0] for item in RESOURCES])
def test_a_resource_that_says_nothing_is_counted(kind: str, attributes: dict[str, Any], _: list[str]) -> None:
    assert len(left_out(state((kind, dict.fromkeys(attributes))))) == 1


def test_what_is_not_read_is_counted_by_type() -> None:
    found = state(("aws_vpc", {}), ("aws_vpc", {}), ("google_project", {}), ("aws_acm_certificate_validation", {}))

    assert left_out(found) == [
        "2 resources of a type that is not read (aws_vpc)",
        "1 resource of a type that is not read (google_project)",
        "1 resource of a type that is not read (aws_acm_certificate_validation)",
    ]
    assert found.rows == []


def test_what_another_configuration_manages_is_counted_too() -> None:
    assert left_out(state(("aws_lb", {"dns_name": "a.example"}), mode="data")) == [
        "1 data source that is managed elsewhere (aws_lb)"
    ]


@pytest.mark.parametrize(
    "attributes", [{"manifest": "x"}, {"manifest": {"value": None}}, {"manifest": []}, {"object": {"kind": 1}}]
)
def test_a_manifest_that_is_none_is_counted(attributes: dict[str, Any]) -> None:
    assert left_out(state(("kubernetes_manifest", attributes))) == [
        "1 resource that cannot be read (kubernetes_manifest)"
    ]


GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: envoy
  listeners:
  - {name: plain, protocol: HTTP, port: 80}
  - {name: web, protocol: HTTPS, port: 443, tls: {mode: Terminate}}
  - {name: alt, protocol: HTTPS, port: 8443, hostname: "*.apps.example"}
  - {name: pass, protocol: TLS, port: 9443, tls: {mode: Passthrough}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all, namespace: shop}
spec:
  parentRefs: [{name: edge, namespace: infra}]
  hostnames: [shop.example]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: one, namespace: infra}
spec:
  parentRefs: [{name: edge, sectionName: alt}]
  hostnames: [one.apps.example, "*.apps.example"]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: tls, namespace: infra}
spec:
  parentRefs: [{name: edge, port: 9443}]
  hostnames: [db.example]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: elsewhere, namespace: infra}
spec:
  parentRefs: [{name: another}]
  hostnames: [grpc.example]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: any, namespace: infra}
spec:
  parentRefs: [{name: edge}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: redirect, namespace: infra}
spec:
  parentRefs: [{name: edge, sectionName: plain}]
  hostnames: [redirected.example]
"""


def test_routes_are_at_the_ports_of_their_listeners() -> None:
    found = read("a.yaml", GATEWAY.encode(), Options())

    assert hosts(found) == [
        "shop.example", "one.apps.example:8443", "db.example:9443", "grpc.example",
    ]  # fmt: skip
    assert {row.values["labels"]["namespace"] for row in found.rows} == {"shop", "infra"}
    assert left_out(found) == [
        "1 listener without TLS", "3 objects for every host", "2 wildcards in place of a host name",
        "1 route without a listener with TLS",
    ]  # fmt: skip


def route(parents: str, host: str, kind: str = "HTTPRoute") -> str:
    return (
        f"---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r, namespace: infra}}\n"
        f"spec:\n  parentRefs: {parents}\n  hostnames: ['{host}']\n"
    )


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        # Attached to both a listener of plain HTTP and one with TLS.
        (route("[{name: edge}]", "both.example"), ["both.example"]),
        # Of a gateway that is not in the file, it is not known whether it has TLS.
        (route("[{name: edge, sectionName: plain}, {name: another}]", "two.example"), ["two.example"]),
        (route("[]", "none.example"), ["none.example"]),
        (route("[{name: edge, sectionName: plain}]", "x.example"), "1 route without a listener with TLS"),
        (route("[{name: edge, port: 80}]", "x.example"), "1 route without a listener with TLS"),
        # The listener with TLS is for other hosts.
        (route("[{name: edge, sectionName: alt}]", "x.example"), "1 route without a listener with TLS"),
        # TLS that is passed through is not that of an HTTPRoute, and the reverse.
        (route("[{name: edge, sectionName: pass}]", "x.example"), "1 route without a listener with TLS"),
        (route("[{name: edge, sectionName: web}]", "x.example", "TLSRoute"), "1 route without a listener with TLS"),
        (route("[{name: cart, kind: Service, group: ''}]", "x.example"), "1 route reachable only inside the cluster"),
    ],
)
def test_a_route_without_a_listener_with_tls_has_no_https(added: str, expected: list[str] | str) -> None:
    gateway = GATEWAY.partition("---")[0]
    found = read("a.yaml", (gateway + added).encode(), Options())

    assert (hosts(found) or left_out(found)[-1]) == expected


INGRESS = {"spec": {"rules": [{"host": "a.example"}], "tls": [{"hosts": ["a.example", "b.example"]}]}}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("List", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}),
        ("IngressList", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}),
        ("IngressList", {}),
    ],
)
def test_lists_are_read_as_kubectl_and_the_api_server_write_them(kind: str, said: dict[str, str]) -> None:
    version = "v1" if kind == "List" else "networking.k8s.io/v1"
    listed = {"apiVersion": version, "kind": kind, "items": [{**said, "metadata": {"name": "i"}, **INGRESS}]}

    found = read("a.json", json.dumps(listed).encode(), Options())

    assert hosts(found) == ["a.example", "b.example"]
    assert left_out(found) == []


OTHERS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: istio, namespace: mesh}
spec:
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["shop/a.example", "*"]}
  - {port: {number: 15443, name: tls, protocol: TLS}, hosts: ["b.example"]}
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["a.example"]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: t}
spec:
  routes:
  - {match: "Host(`c.example`, `d.example`) && PathPrefix(`/x.y`)"}
  - {match: "PathPrefix(`/`)"}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: c}
spec: {dnsNames: [e.example], commonName: f.example}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: r}
spec: {to: {kind: Service}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec: {hosts: [g.example]}
"""


def test_what_others_add_to_a_cluster() -> None:
    found = read("a.yaml", OTHERS.encode(), Options())

    assert hosts(found) == ["a.example", "b.example:15443", "c.example", "d.example", "e.example", "f.example"]
    assert left_out(found) == [
        "2 objects for every host", "1 listener without TLS", "1 object of a kind that is not read (VirtualService)",
    ]  # fmt: skip


def test_the_state_of_a_whole_estate_has_each_host_once() -> None:
    found = state(*((kind, attributes) for kind, attributes, _ in RESOURCES))

    assert len(hosts(found)) == len(set(hosts(found)))
    assert {item.removesuffix(":443") for item in hosts(found)} == {name for _, _, names in RESOURCES for name in names}
