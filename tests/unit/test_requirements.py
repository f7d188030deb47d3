"""What is demanded where, and which line of the configuration decided it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scanner.inventory import (
    Application,
    ApplicationKind,
    Console,
    DomainKey,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Role,
)
from scanner.requirements import (
    PlainAllowed,
    Requirement,
    conflicts,
    contains,
    requirement_at,
    requirements_of,
    root_of,
)

NONE, TLS, MUTUAL = HttpsLevel.NONE, HttpsLevel.TLS, HttpsLevel.TLS_CLIENT_CERTIFICATE
WEB = ApplicationKind.TRADITIONAL_WEB


def environment(**settings: Any) -> Environment:
    return Environment("production", EnvironmentKind.ON_PREMISES, **settings)


def endpoint(*applications: Application, role: Role = Role.APPLICATION) -> Endpoint:
    return Endpoint("production", "shop.example.com", 443, role, 80, None, applications)


def shop(https: HttpsLevel = NONE, kind: ApplicationKind = WEB, **settings: Any) -> Application:
    return Application(
        "Shop",
        kind,
        https,
        paths=(
            PathSetting("/Shop/Checkout", TLS),
            PathSetting("/Shop/Public", NONE),
            PathSetting("/Shop/Admin", MUTUAL),
        ),
        integrations=(
            Integration("/Shop/rest/v1", IntegrationKind.REST, NONE),
            Integration("/Shop/Orders.asmx", IntegrationKind.SOAP, TLS),
        ),
        **settings,
    )


def levels(application: Application, role: Role = Role.APPLICATION, **settings: Any) -> dict[str, str]:
    return {
        item.path: item.level.value
        for item in requirements_of(environment(**settings), endpoint(application, role=role))
    }


OWN = {
    "/": "none",
    "/Shop/Checkout": "tls",
    "/Shop/Public": "none",
    "/Shop/Admin": "tls-client-certificate",
    "/Shop/rest/v1": "none",
    "/Shop/Orders.asmx": "tls",
}
PAGES = {**OWN, "/": "tls", "/Shop/Public": "tls"}
CALLS = {**OWN, "/Shop/rest/v1": "tls"}


@pytest.mark.parametrize(
    ("application", "settings", "expected"),
    [
        (shop(), {}, OWN),
        (shop(TLS), {}, {**OWN, "/": "tls"}),
        (shop(), {"hsts": True}, PAGES),
        (shop(), {"force_https_screens": True}, PAGES),
        (shop(), {"force_https_integrations": True}, CALLS),
        (shop(force_https_screens=True), {}, PAGES),
        (shop(force_https_integrations=True), {}, CALLS),
        (shop(kind=ApplicationKind.REACTIVE_WEB), {}, {**PAGES, "/Shop/rest/v1": "tls"}),
        (shop(kind=ApplicationKind.MOBILE_BACKEND), {}, {**PAGES, "/Shop/rest/v1": "tls"}),
        (shop(kind=ApplicationKind.PWA), {}, {**PAGES, "/Shop/rest/v1": "tls"}),
        (shop(kind=ApplicationKind.SERVICE), {}, OWN),
    ],
)
def test_the_outer_setting_wins_and_never_demands_less(
    application: Application, settings: dict[str, bool], expected: dict[str, str]
) -> None:
    assert levels(application, **settings) == expected


def test_a_console_is_over_https_whatever_its_application_says() -> None:
    assert levels(shop(), Role.MONITORING)["/"] == "tls"
    assert levels(shop(), Role.DEVELOPMENT)["/Shop/Public"] == "tls"


def test_an_endpoint_of_its_own_is_over_https() -> None:
    (requirement,) = requirements_of(environment(hsts=True), endpoint(role=Role.MONITORING))
    assert (requirement.path, requirement.level, requirement.hsts) == ("/", TLS, True)
    assert requirement.decided_by == "[[environment]] production: hsts = true"
    (requirement,) = requirements_of(environment(), endpoint(role=Role.MONITORING))
    assert requirement.decided_by == '[[environment.endpoint]] shop.example.com:443: role = "monitoring"'


def test_a_platforms_host_name_is_over_https_by_the_key_that_names_it() -> None:
    implied = Endpoint("production", "apps.example.com", 443, http_port=80, implied_by=DomainKey.CUSTOM)
    (root,) = requirements_of(environment(), implied)

    assert (root.level, root.plain) == (TLS, PlainAllowed.REDIRECT_OR_REFUSAL)
    assert root.decided_by == '[[environment]] production: custom_domain = "apps.example.com"'
    assert requirements_of(environment(hsts=True), implied)[0].hsts


def test_where_no_http_is_spoken_nothing_is_demanded_of_it() -> None:
    mail = endpoint(role=Role.SERVER)
    assert requirements_of(environment(hsts=True), mail) == ()
    assert root_of(environment(), mail) is None
    assert requirement_at(environment(), mail, "/x") is None


def at(path: str, **settings: Any) -> Requirement:
    found = requirement_at(environment(**settings), endpoint(shop(TLS)), path)
    assert found is not None
    return found


def test_the_line_that_decided_is_told_with_those_that_have_no_effect() -> None:
    found = at("/Shop/Public", force_https_screens=True)
    assert found.decided_by == "[[environment]] production: force_https_screens = true"
    assert found.overridden == ('[[environment.application]] Shop: paths /Shop/Public: https = "none"',)
    found = at("/Shop/Admin", hsts=True)
    assert found.decided_by == '[[environment.application]] Shop: paths /Shop/Admin: https = "tls-client-certificate"'
    assert found.overridden == ("[[environment]] production: hsts = true",)


def test_any_path_takes_the_narrowest_configured_place() -> None:
    assert at("/Shop/Checkout/Card?x=1#y").path == "/Shop/Checkout"
    assert at("/Shop/CheckoutNot").path == "/"
    assert at("/Shop/rest/v1/orders").integration is IntegrationKind.REST
    assert at("/elsewhere").decided_by == '[[environment.application]] Shop: https = "tls"'
    assert at("").path == "/"


def test_an_integration_may_only_refuse_and_a_page_may_redirect() -> None:
    assert at("/Shop/Orders.asmx").plain is PlainAllowed.REFUSAL
    assert at("/Shop/Checkout").plain is PlainAllowed.REDIRECT_OR_REFUSAL
    assert at("/Shop/Public").plain is PlainAllowed.ANYTHING


def test_hsts_is_demanded_of_pages_alone() -> None:
    assert at("/Shop/Checkout", hsts=True).hsts
    assert not at("/Shop/Orders.asmx", hsts=True).hsts
    assert not at("/Shop/Checkout").hsts


def test_a_configured_root_is_the_root() -> None:
    root = Application("Root", WEB, TLS, paths=(PathSetting("/", NONE),))
    (requirement,) = requirements_of(environment(), endpoint(root))
    assert (requirement.level, requirement.path) == (NONE, "/")


def test_of_several_applications_the_strictest_decides_the_root() -> None:
    found = root_of(environment(), endpoint(shop(NONE), Application("Bank", WEB, TLS)))
    assert found is not None
    assert (found.application, found.level) == ("Bank", TLS)


def app(name: str, https: HttpsLevel = TLS, *paths: tuple[str, HttpsLevel], **more: Any) -> Application:
    return Application(name, WEB, https, paths=tuple(PathSetting(*item) for item in paths), **more)


def demanded(*applications: Application, consoles: tuple[Console, ...] = ()) -> dict[tuple[str | None, str], str]:
    found = requirements_of(environment(), replace(endpoint(*applications), consoles=consoles))
    return {(item.application, item.path): item.level.value for item in found}


def contradicted(*applications: Application, consoles: tuple[Console, ...] = ()) -> list[tuple[str | None, str, str]]:
    pairs = conflicts(environment(), replace(endpoint(*applications), consoles=consoles))
    return [(weaker.application, weaker.path, holds.setting) for weaker, holds in pairs]


def test_what_several_demand_of_one_path_the_strictest_demands_for_all() -> None:
    both = app("Shop", NONE, ("/x", NONE)), app("Portal", TLS, ("/x", MUTUAL))

    assert demanded(*both) == {
        ("Shop", "/"): "tls", ("Shop", "/x"): "tls-client-certificate",
        ("Portal", "/"): "tls", ("Portal", "/x"): "tls-client-certificate",
    }  # fmt: skip
    shop = requirements_of(environment(), endpoint(*both))[0]
    assert shop.decided_by == '[[environment.application]] Portal: https = "tls"'
    assert shop.overridden == ('[[environment.application]] Shop: https = "none"',)
    assert contradicted(*both) == [
        ("Shop", "/", "application Portal: its own setting"), ("Shop", "/x", "application Portal: this path"),
    ]  # fmt: skip


def test_a_console_an_integration_and_forced_screens_are_stricter_too() -> None:
    shop = app("Shop", NONE, ("/ServiceCenter", NONE), ("/api", NONE))
    service = app("Api", NONE, integrations=(Integration("/api", IntegrationKind.REST, TLS),))
    forced = app("Forced", NONE, force_https_screens=True)
    console = (Console(Role.MONITORING, ("/ServiceCenter",)),)

    assert contradicted(shop, consoles=console) == [
        ("Shop", "/ServiceCenter", "role of the endpoint: monitoring console")
    ]
    assert contradicted(shop, service) == [("Shop", "/api", "application Api: this integration")]
    assert contradicted(shop, forced) == [("Shop", "/", "application Forced: HTTPS for all its screens")]


def test_other_paths_contradict_nothing() -> None:
    both = app("Shop", NONE, ("/x", NONE)), app("Portal", NONE, ("/y", TLS), ("/xy", TLS), ("/x/z", MUTUAL))

    assert contradicted(*both, consoles=(Console(Role.DEVELOPMENT, ("/ServiceStudio",)),)) == []
    assert demanded(*both)["Shop", "/x"] == "none"


def test_each_console_is_called_by_its_own_role() -> None:
    consoles = (Console(Role.MONITORING, ("/ServiceCenter",)), Console(Role.DEVELOPMENT, ("/ServiceStudio",)))
    found = requirements_of(environment(), replace(endpoint(app("Shop")), consoles=consoles))

    assert [(item.path, item.role) for item in found] == [
        ("/", None), ("/ServiceCenter", Role.MONITORING), ("/ServiceStudio", Role.DEVELOPMENT),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "applications", "said"),
    [
        (("/ServiceCenter",), (), "role of the endpoint: monitoring console; the whole host"),
        (("/ServiceCenter", "/"), (), "role of the endpoint: monitoring console"),
        (("/ServiceCenter",), (app("Shop"),), "application Shop: its own setting"),
    ],
)
def test_the_root_of_a_host_whose_consoles_are_at_paths_says_that_it_is_of_the_host(
    paths: tuple[str, ...], applications: tuple[Application, ...], said: str
) -> None:
    consoles = (Console(Role.MONITORING, paths),)
    role = Role.APPLICATION if applications else Role.MONITORING
    found = requirements_of(environment(), replace(endpoint(*applications), role=role, consoles=consoles))

    root = next(item for item in found if item.path == "/")
    assert root.setting == said
    assert (", whose host is judged by its root" in root.decided_by) == said.endswith("the whole host")
    assert root.level is TLS, "whatever its environment says: stored runs do not know that"


def test_places_contain_whole_segments() -> None:
    assert contains("/", "/anything")
    assert contains("/a/", "/a")
    assert not contains("/a", "/ab")
