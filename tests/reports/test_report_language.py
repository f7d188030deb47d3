"""Languages: the catalogue is whole, a report in Portuguese is Portuguese, and what stays English says so."""

from __future__ import annotations

import gettext
import io
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from lxml import html

from reports import catalogue, language
from reports.language import (
    CATALOGUE,
    ENGLISH,
    LOCALES,
    English,
    Language,
    UnknownLanguageError,
    known_languages,
    language_of,
    speaking,
)
from reports.render import render_html
from reports.view import ReportOptions, ReportView
from reports.view.sentences import PLACEHOLDER, former_sentences, reason_in_words, retell
from reports.wording import FAILURES, SEVERITIES, counted
from scanner.rules import all_rules
from scanner.verdict import Severity, Status
from tests.build.judged import judged_record, judged_view

PORTUGUESE = language_of("pt")
CATALOGUES = [LOCALES / name / CATALOGUE for name in known_languages() if name != "en"]
_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}|</?\w+[^>]*>")
"""What must be in a translation as it is in the message: values, and the page's own elements."""


@pytest.fixture(scope="module")
def extracted() -> Catalog:
    return catalogue.messages()


def committed(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, abort_invalid=True)


def of_rule(message: Message) -> bool:
    """Whether rules alone say it: what has no translation yet is told in English."""
    return bool(message.locations) and all(name.startswith("rule:") for name, _ in message.locations)


def forms(text: object) -> list[str]:
    return list(text) if isinstance(text, tuple | list) else [str(text)]


def view_of(tongue: str) -> ReportView:
    return judged_view(options=ReportOptions(organisation="Example Ltd", classification="Internal", language=tongue))


@pytest.fixture(scope="module")
def page() -> html.HtmlElement:
    return html.document_fromstring(render_html(view_of("pt")))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
class TestCatalogue:
    def test_holds_what_the_reports_say_in_any_run(self, path: Path, extracted: Catalog) -> None:
        known = {(item.context, forms(item.id)[0]) for item in committed(path) if catalogue.translated(item)}
        wanted = {(item.context, forms(item.id)[0]) for item in extracted if item.id and not of_rule(item)}
        assert sorted(wanted - known, key=str) == [], "run: make catalogue, and translate"

    @pytest.mark.release
    def test_holds_what_the_reports_say_and_nothing_else(self, path: Path, extracted: Catalog) -> None:
        known = {(item.context, forms(item.id)[0]) for item in committed(path) if item.id}
        wanted = {(item.context, forms(item.id)[0]) for item in extracted if item.id}
        assert sorted(wanted - known, key=str) == [], "run: make catalogue"
        assert sorted(known - wanted, key=str) == [], "run: make catalogue"

    @pytest.mark.release
    def test_is_written_as_the_command_writes_it(self, path: Path, extracted: Catalog) -> None:
        written = io.BytesIO()
        catalogue.write(written, catalogue.updated(path, extracted))
        assert written.getvalue() == path.read_bytes(), "run: make catalogue"

    @pytest.mark.release
    def test_every_message_is_translated(self, path: Path) -> None:
        assert [item.id for item in committed(path) if item.id and not catalogue.translated(item)] == []

    def test_placeholders_and_elements_stay(self, path: Path) -> None:
        def differs(item: Message) -> bool:
            pairs = zip(forms(item.id), forms(item.string), strict=True)
            return any(sorted(_PLACEHOLDER.findall(one)) != sorted(_PLACEHOLDER.findall(other)) for one, other in pairs)

        assert [item.id for item in committed(path) if item.id and differs(item)] == []

    def test_sentences_end_as_they_did(self, path: Path) -> None:
        # A sentence is put behind another, or shortened to a heading: its full stop is not decoration.
        odd = [
            item.id
            for item in committed(path)
            if item.id
            and [text[-1] in ".?" for text in forms(item.id)] != [text[-1] in ".?" for text in forms(item.string)]
        ]
        assert odd == []


class TestExtraction:
    def test_finds_templates_modules_rules_and_policies(self, extracted: Catalog) -> None:
        rule = all_rules()["proto.no-tls1.0"]
        for text in ("What is worst", "the connection was refused", rule.title, rule.why, rule.fix.summary):
            assert extracted.get(text), text
        for reason in rule.reasons.values():
            assert bool(extracted.get(reason.sentence)) is (reason.status is not Status.PASS), reason
        assert extracted.get("HTTPS by default")

    def test_tells_a_missing_message_from_a_known_one(self, extracted: Catalog, tmp_path: Path) -> None:
        path = tmp_path / "nightseal.po"
        old = committed(CATALOGUES[0])
        old.delete("What is worst")
        old.add("Said no more", "Já não se diz")
        with path.open("wb") as file:
            write_po(file, old)
        new = catalogue.updated(path, extracted)
        found = new.get("What is worst")
        assert found
        assert not catalogue.translated(found)
        assert new.get("Said no more") is None
        assert not new.obsolete


class TestNames:
    @pytest.mark.parametrize("name", ["pt", "PT", "pt_PT", "pt-PT", "pt-BR", " pt "])
    def test_variants_fall_back(self, name: str) -> None:
        assert (language_of(name).tag, language_of(name).territory) == ("pt-PT", "pt_PT")

    @pytest.mark.parametrize("name", ["en", "en-US", "en_GB"])
    def test_english_needs_no_catalogue(self, name: str) -> None:
        assert language_of(name) is ENGLISH

    @pytest.mark.parametrize(
        ("name", "hint"), [("ptt", 'did you mean "pt"?'), ("xx", "known are en, pt"), ("", "known are")]
    )
    def test_unknown_ones_are_told_with_what_there_is(self, name: str, hint: str) -> None:
        with pytest.raises(UnknownLanguageError) as raised:
            language_of(name)
        assert hint in str(raised.value)
        assert raised.value.exit_code == 2

    def test_no_name_leads_out_of_the_folder(self) -> None:
        with pytest.raises(UnknownLanguageError):
            language_of("../pt")


class TestForms:
    def test_portuguese(self) -> None:
        with speaking(PORTUGUESE):
            assert language.day(date(2026, 11, 4)) == "4 de novembro de 2026"
            assert language.short_day(date(2026, 11, 4)) == "04/11/2026"
            assert language.moment(datetime(2026, 11, 4, 7, 5, tzinfo=UTC)) == "4 de novembro de 2026, 07:05 UTC"
            assert language.number(12345) == "12\N{NO-BREAK SPACE}345"
            assert language.percent(0.5) == "50%"
            assert language.duration(timedelta(seconds=4.25)) == "4,2 s"
            assert language.listed(["a", "b", "c"]) == "a, b e c"
            assert language.listed(list("abcdef")) == "a, b, c e mais 3"
            assert (counted(1, "target"), counted(2, "target")) == ("1 alvo", "2 alvos")
            assert SEVERITIES[Severity.HIGH] == "Elevada"
            assert language.chart_time()["shortMonths"][1] == "fev"

    def test_english(self) -> None:
        assert language.day(date(2026, 11, 4)) == "4 November 2026"
        assert language.short_day(date(2026, 11, 4)) == "2026-11-04"
        assert (language.number(999), language.number(12345)) == ("999", "12,345")
        assert language.duration(timedelta(minutes=3, seconds=12)) == "3 min 12 s"
        assert language.duration(timedelta(hours=2, minutes=5)) == "2 h 5 min"
        assert language.listed([]) == ""
        assert language.listed(list("abcd")) == "a, b, c and d"

    @pytest.mark.parametrize(("share", "said"), [(0.9999, "99%"), (0.0001, "1%"), (1.0, "100%"), (0.0, "0%")])
    def test_a_share_is_never_rounded_to_all_or_nothing(self, share: float, said: str) -> None:
        assert language.percent(share) == said

    def test_a_language_is_spoken_only_inside(self) -> None:
        with pytest.raises(RuntimeError), speaking(PORTUGUESE):
            raise RuntimeError
        assert language.current() is ENGLISH


class TestRetelling:
    rule = all_rules()["kex.min-dh-bits"]

    def test_values_are_filled_into_the_other_sentence(self) -> None:
        reason = next(slug for slug, item in self.rule.reasons.items() if "at least {expected}" in item.sentence)
        said = self.rule.reasons[reason].sentence.format(observed="DHE 1024, DHE 768 and 2 more", expected="2048 bits")
        with speaking(PORTUGUESE):
            assert retell(self.rule, reason, said) == (
                "É aceite uma troca de chaves efémera de DHE 1024, DHE 768 e mais 2; querem-se pelo menos 2048 bits."
            )
        assert retell(self.rule, reason, said) == said

    def test_what_another_version_said_stays_and_is_marked(self) -> None:
        reason = next(iter(self.rule.reasons))
        with speaking(PORTUGUESE):
            for rule, slug in ((self.rule, reason), (self.rule, "no-such-reason"), (None, reason)):
                said = retell(rule, slug, "An old sentence, kept by the history.")
                assert said == "An old sentence, kept by the history."
                assert isinstance(said, English)

    def test_what_a_rule_said_in_an_earlier_version_is_said_in_the_language_too(self) -> None:
        said = "An ephemeral key exchange of DHE 1024 is accepted; at least 2048 bits are wanted."
        with speaking(PORTUGUESE):
            assert retell(self.rule, "too-small", said) == (
                "É aceite uma troca de chaves efémera de DHE 1024; querem-se pelo menos 2048 bits."
            )
        assert retell(self.rule, "too-small", said) == said

    def test_former_sentences_are_of_reasons_that_are_there_and_have_what_the_present_ones_say(self) -> None:
        rules = all_rules()
        for rule_id, reasons in former_sentences().items():
            for reason, sentences in reasons.items():
                present = rules[rule_id].reasons[reason].sentence
                assert present not in sentences, (rule_id, reason)
                for former in sentences:
                    assert set(PLACEHOLDER.findall(present)) <= set(PLACEHOLDER.findall(former)), (rule_id, former)

    def test_values_are_not_read_as_placeholders(self) -> None:
        reason = next(slug for slug, item in self.rule.reasons.items() if "at least {expected}" in item.sentence)
        said = self.rule.reasons[reason].sentence.format(observed="{expected} %(x)s", expected="{line}")
        with speaking(PORTUGUESE):
            assert "de {expected} %(x)s; querem-se pelo menos {line}." in retell(self.rule, reason, said)

    @pytest.mark.parametrize(
        ("observed", "said"),
        [
            ("1 day", "1 dia"),
            ("3650 days", "3\N{NO-BREAK SPACE}650 dias"),
            ("2026-11-04", "04/11/2026"),
            ("2026-99-04", "2026-99-04"),
            ("rsa of 1024 bits (CN=a)", "rsa de 1024 bits (CN=a)"),
            ("timed-out (5 s)", "não houve resposta a tempo (5 s)"),
            ("/days/2026-11-04/3 days", "/days/2026-11-04/3 days"),
        ],
    )
    def test_forms_of_values(self, observed: str, said: str) -> None:
        slug = next(slug for slug, item in self.rule.reasons.items() if "at least {expected}" in item.sentence)
        message = self.rule.reasons[slug].sentence.format(observed=observed, expected="x")
        with speaking(PORTUGUESE):
            assert f" de {said}; querem-se" in retell(self.rule, slug, message)
        assert retell(self.rule, slug, message) == message

    def test_slugs_become_words(self) -> None:
        with speaking(PORTUGUESE):
            assert reason_in_words("It could not be observed: timed-out (5 s).") == "não houve resposta a tempo (5 s)"
            assert reason_in_words("Nobody knows.") == "Nobody knows"
            assert isinstance(reason_in_words("Nobody knows."), English)


class TestPage:
    def test_says_which_language_it_is_in(self, page: html.HtmlElement) -> None:
        assert page.get("lang") == "pt-PT"
        assert html.document_fromstring(render_html(view_of("pt_BR"))).get("lang") == "pt-PT"

    def test_no_english_heading_label_or_word_of_a_verdict_is_left(self, page: html.HtmlElement) -> None:
        translated = {
            text
            for item in committed(CATALOGUES[0])
            if item.id
            for text, other in zip(forms(item.id), forms(item.string), strict=True)
            if text != other and "%(" not in text and len(text) > 1
        }
        said = {" ".join(element.text_content().split()) for element in page.iter(*_SAID_BY_US)}
        said |= {" ".join(text.split()) for text in page.xpath("//text()[not(ancestor::script or ancestor::style)]")}
        said |= {str(text) for name in ("aria-label", "alt", "title") for text in page.xpath(f"//@{name}")}
        assert said & translated == set()
        assert {"Constatações por causa", "Quem deve fazer o quê e até quando", "Não cumprido"} <= said

    def test_dates_are_written_as_the_language_does(self, page: html.HtmlElement) -> None:
        days = [item.text_content().strip() for item in page.xpath("//td[contains(@class, 'date')]")]
        assert days
        assert all(re.fullmatch(r"\d\d/\d\d/\d{4}|sem data", text) for text in days)
        assert re.search(r"\d{1,2} de março de 2026, \d\d:\d\d UTC", page.text_content())

    def test_what_stays_english_is_marked(self, page: html.HtmlElement) -> None:
        assert page.xpath("//td[@class='value' and @lang='en']")
        assert page.xpath("//dd[@class='value' and @lang='en']")
        in_english = html.document_fromstring(render_html(view_of("en")))
        assert in_english.xpath("//*[@lang]") == [in_english]

    def test_the_script_has_its_texts_from_the_page(self, page: html.HtmlElement) -> None:
        assert {form.get("data-shown") for form in page.xpath("//form")} == {"{shown} de {all} à vista"}

    def test_pictures_speak_it_too(self, page: html.HtmlElement) -> None:
        texts = " ".join(page.xpath("//*[local-name()='svg']//text()"))
        assert "Requisitos por ambiente e proteção" in texts
        assert "Encriptação" in texts
        assert not re.search(r"\b(Not met|Encryption|ended|days)\b", texts)

    def test_the_title_of_the_owner_stays(self) -> None:
        assert view_of("pt").options.title == "Relatório de conformidade HTTPS"
        with speaking(PORTUGUESE):
            assert FAILURES  # looked up above in English, and not kept so
        assert view_of("en").options.title == "HTTPS compliance report"


_SAID_BY_US = (
    "h1",
    "h2",
    "h3",
    "th",
    "dt",
    "caption",
    "figcaption",
    "label",
    "option",
    "button",
    "summary",
    "a",
    "span",
)


class _Bracketed(gettext.NullTranslations):
    """A language in which every message is itself in brackets, so that what is not a message has none."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return message if "pattern" in context else self.gettext(message)


@pytest.fixture
def bracketed(monkeypatch: pytest.MonkeyPatch) -> html.HtmlElement:
    tongue = Language("pt-PT", "pt_PT", _Bracketed())
    for module in ("reports.language", "reports.view.build"):
        monkeypatch.setattr(f"{module}.language_of", lambda _: tongue)
    return html.document_fromstring(render_html(view_of("pt")))


def test_every_text_of_a_template_goes_through_the_catalogue(bracketed: html.HtmlElement) -> None:
    known = {item.name for item in judged_record(4).environments.values()} | {"Nightseal", "SHA-256", "UTC", "IP"}
    bare = set()
    for element in bracketed.xpath("//h1|//h2|//h3|//thead//th|//dt|//caption|//figcaption|//label|//option|//p"):
        text = " ".join(element.text_content().split())
        outside = re.sub(r"⟦[^⟦⟧]*(?:⟦[^⟦⟧]*⟧[^⟦⟧]*)*⟧", "", text)
        is_sentence = re.fullmatch(r"[A-Z][a-z]+(?: [a-z]+){3,}[^⟦]*", outside)
        if (element.tag == "p" and is_sentence) or (element.tag != "p" and "⟦" not in text):
            bare.add((element.tag, outside))
    assert {item for item in bare if item[1] not in known and not _is_data(item[1])} == set()


def _is_data(text: str) -> bool:
    return bool(
        re.fullmatch(
            r"[\d\W]*|[a-z0-9.-]+|Example Ltd|Internal|[\w./ -]*:\d+.*|[\w .,&-]*\d+(?:\.\d+)*[\w .,&-]*", text
        )
    )
