# make quick   formatting, lints and the fast tests, to run while editing
# make test    everything that must be green: fetches what it needs, into target/ or by apt
# make e2e     of that, the part with Docker Engines, other TLS stacks, an engine of CloudFormation, sam and its containers
# make other-days   the tests that need neither root nor containers again, with the clock on other days
# make fuzz    arbitrary events and stored values, for FUZZ_SECONDS each
# make document  src/fleet/converge.sh into template.yaml again, after a change
# make build   the deployable target/lambda/bootstrap.zip
# make guard   its sizes, requests and instructions, none of which may grow unnoticed
# make bench   the same with times and memory, the core by itself, and a busy account, as tables
# make clean   back to a fresh checkout

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := test

export CARGO_TARGET_DIR := $(CURDIR)/target
export SAM_CLI_TELEMETRY := 0

BOOTSTRAP := target/lambda/bootstrap/bootstrap
VENV := target/venv
# Of the engine of CloudFormation, whose requirements clash with the others.
ENGINE := target/cloudformation
# Installed under its version, so that another one is another file.
CARGO_DENY := target/tools/cargo-deny-0.20.2
# Amazon Linux 2023's glibc, which a bootstrap for provided.al2023 must do with.
GLIBC := 2.34
# The libraries that glibc consists of.
GLIBC_LIBRARIES := ld-linux-x86-64.so.2 libc.so.6 libdl.so.2 libm.so.6 libpthread.so.0 librt.so.1
# Commands that are called here and by the tests, each with its Debian package.
COMMANDS := cc:build-essential objdump:binutils openssl:openssl python3:python3 shellcheck:shellcheck
# And those of the part that needs root.
E2E_COMMANDS := curl:curl docker:docker.io dockerd:docker.io debootstrap:debootstrap gnutls-cli:gnutls-bin gnutls-serv:gnutls-bin ip:iproute2
BENCH_COMMANDS := valgrind:valgrind
# Stands in for the image of Amazon Linux that sam would pull.
BASE_IMAGE := target/e2e/debian.tar

# What takes long: searches, byte by byte or step by step, and the function between waits and crashes.
LONG := after_three_ nobody_is_refused_by_a_ a_thousand_nodes after_four_ whichever_byte openssl_verifies crash:: concurrency:: endurance:: faults:: repair::
QUICK_TESTS := core lambda run_command fleet $(basename $(notdir $(wildcard tests/*.rs)))

.PHONY: quick
quick: export AWS_EC2_METADATA_DISABLED := true
quick: export RUST_TEST_THREADS := 8
quick: fmt tools
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --lib $(addprefix --test ,$(QUICK_TESTS)) -- $(addprefix --skip ,$(LONG))

.PHONY: test
test: export AWS_EC2_METADATA_DISABLED := true
# Tests of the function wait for leases to run out more than they compute.
test: export RUST_TEST_THREADS := 8
test: fmt clippy tools lint-template lint-scripts deny
	cargo test --locked
	$(MAKE) e2e

# Moments at which the tests hold as well: leap day's end among them, which passes while they run.
OTHER_DAYS := '+40 days' '2028-02-29 23:58:00 UTC' '+10 years'
FAKETIME_COMMANDS := faketime:faketime

# The clock is set for what the tests are and start, by a library that they are loaded with: the function has no knob
# for it. Durations are still measured by the kernel's clock. Without the library's launcher, whose processes share a
# lock that one of them can leave behind when it is killed.
.PHONY: other-days
other-days: export RUST_TEST_THREADS := 8
other-days: export AWS_EC2_METADATA_DISABLED := true
other-days: tools faketime-packages
	library=$$(faketime -m -f +0 printenv LD_PRELOAD)
	cargo test --locked --no-run
	for moment in $(OTHER_DAYS); do
		ahead=$$(( $$(date --date "$$moment" +%s) - $$(date +%s) ))
		clock="env LD_PRELOAD=$$library FAKETIME=$$(printf '%+d' $$ahead) FAKETIME_DONT_FAKE_MONOTONIC=1"
		echo "$$moment: $$($$clock date --utc --iso-8601=seconds)"
		if (( $$($$clock date +%s) - $$(date +%s) < ahead - 1 )); then
			echo 'make other-days: libfaketime does not set the clock here' >&2
			exit 1
		fi
		cargo test --locked --config "target.'cfg(all())'.runner='$$clock'"
		$(call lint-template,$$clock)
	done

.PHONY: faketime-packages
faketime-packages: packages
	@$(call install,$(FAKETIME_COMMANDS))

# In namespaces of their own, so that nothing that they start outlives them.
E2E := RUST_TEST_THREADS=2 CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='$(CURDIR)/tests/e2e/isolated' cargo test --locked --test

.PHONY: e2e e2e-docker e2e-tls e2e-cloudformation e2e-sam
e2e: e2e-docker e2e-tls e2e-cloudformation e2e-sam

e2e-docker: e2e-packages tools
	$(E2E) e2e -- docker:: fleet::

e2e-tls: e2e-packages
	$(E2E) e2e -- tls::

e2e-cloudformation: e2e-packages tools $(ENGINE)/requirements.txt
	if (( EUID == 0 )); then
		$(MAKE) build
	fi
	$(E2E) e2e_cloudformation

e2e-sam: e2e-packages tools
	if (( EUID == 0 )); then
		$(MAKE) check-bootstrap $(BASE_IMAGE)
	fi
	$(E2E) e2e_sam

# Where this cannot install them, the tests say what they miss.
.PHONY: e2e-packages
e2e-packages: packages
	@if (( EUID == 0 )) && command -v apt-get >/dev/null; then
		$(call install,$(E2E_COMMANDS))
	fi

# With mounts of its own, for debootstrap leaves some behind when it is interrupted.
$(BASE_IMAGE):
	rm -rf $(@D)
	mkdir -p $(@D)
	. /etc/os-release
	if ! unshare --mount debootstrap --variant=minbase --include=ca-certificates "$$VERSION_CODENAME" $(@D)/root >$(@D)/debootstrap.log; then
		tail $(@D)/debootstrap.log >&2
		exit 1
	fi
	tar --create --directory $(@D)/root --exclude './var/cache/apt/*' --exclude './var/lib/apt/lists/*' --file $@ .
	rm -rf $(@D)/root

FUZZ_SECONDS := 120
CARGO_FUZZ := target/tools/cargo-fuzz-0.13.2

# RUSTC_BOOTSTRAP stands in for a nightly toolchain, which the fuzzer's instrumentation wants.
.PHONY: fuzz
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: packages $(CARGO_FUZZ)/bin/cargo-fuzz
	for target in events parameters; do
		mkdir -p target/corpus/$$target
		[[ "$$target" != events ]] || cp events/*.json target/corpus/events
		$(CARGO_FUZZ)/bin/cargo-fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz --dev --sanitizer none \
			$$target target/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=target/corpus/
	done

# Built like the tests, for it only observes.
.PHONY: guard
guard: build bench-packages
	cargo bench --locked --profile dev --bench function -- guard

# The core first: the table takes its figures from what criterion leaves behind.
.PHONY: bench
bench: build bench-packages
	# Each of the busy account's thousand functions holds connections to the measuring process.
	ulimit -S -n "$$(ulimit -H -n)"
	cargo bench --locked --bench core
	cargo bench --locked --bench function

.PHONY: bench-packages
bench-packages: packages
	@$(call install,$(BENCH_COMMANDS))

.PHONY: fmt
fmt:
	cargo fmt --all --check

.PHONY: clippy
clippy: packages
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --test e2e --test e2e_cloudformation --test e2e_sam -- -D warnings

.PHONY: lint-template
lint-template: tools
	$(call lint-template)

# The linters, run by what sets their clock or by nothing.
define lint-template
$(1) $(VENV)/bin/cfn-lint --include-checks I -- template.yaml examples/rack.yaml
$(1) $(VENV)/bin/sam validate --lint
endef

.PHONY: lint-scripts
lint-scripts: packages
	shellcheck .ci/run src/fleet/converge.sh tests/e2e/isolated tests/support/node/bin/*

# Puts the document's script into the template, which has a copy of it: the block below `runCommand`.
.PHONY: document
document:
	python3 - <<'END'
	import re
	script = open("src/fleet/converge.sh").read()
	template = open("template.yaml").read()
	indented = re.sub("(?m)^(?=.)", 4 * " ", script)
	block = re.compile("(?<=   Text: \|\n)(?:(?: {4}.*)?\n)+(?=\nResources:)")
	open("template.yaml", "w").write(block.sub(lambda _: indented, template))
	END

.PHONY: deny
deny: packages $(CARGO_DENY)/bin/cargo-deny
	cargo fetch --locked --target x86_64-unknown-linux-gnu
	$(CARGO_DENY)/bin/cargo-deny --offline check bans licenses sources

# Not optimised: they compile in one minute instead of several.
$(CARGO_DENY)/bin/cargo-deny $(CARGO_FUZZ)/bin/cargo-fuzz: target/tools/%:
	export CARGO_PROFILE_DEV_DEBUG=false
	tool=$(firstword $(subst /, ,$*))
	env -u CARGO_TARGET_DIR cargo install --locked --debug --root "target/tools/$$tool" "$${tool%-*}@$${tool##*-}"

.PHONY: build
build: check-bootstrap target/lambda/bootstrap.zip

target/lambda/bootstrap.zip: $(BOOTSTRAP)
	$(VENV)/bin/python -c 'import sys, zopfli; zip = zopfli.ZipFile(sys.argv[1], "w", iterations=1); zip.write(sys.argv[2], "bootstrap"); zip.close()' $@ $<

# Linked by zig, which brings the symbols of every glibc and a static unwinder; this machine's own linker would take
# whatever glibc is installed here. The profile is Cargo.toml's: cargo-lambda's own would abort on a panic, and even
# a panic owes CloudFormation a response.
$(BOOTSTRAP): Cargo.toml Cargo.lock .cargo/config.toml $(shell find src -name '*.rs') | host packages $(VENV)/requirements.txt
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo lambda build --locked --release --disable-optimizations \
		--target x86_64-unknown-linux-gnu.$(GLIBC) --bin bootstrap --lambda-dir target/lambda
	touch $@
	# Where a plain `cargo build --release` would have put it, too.
	install -D $@ target/release/bootstrap

.PHONY: host
host:
	@if [[ "$$(uname -sm)" != 'Linux x86_64' ]]; then
		echo "make build: this is $$(uname -sm), and template.yaml deploys what is tested: Linux x86_64." >&2
		echo 'For arm64: cargo lambda build --release --disable-optimizations --arm64 --bin bootstrap, and Architectures: [arm64] in template.yaml.' >&2
		exit 1
	fi

.PHONY: check-bootstrap
check-bootstrap: $(BOOTSTRAP)
	@glibc=$$(objdump -T $< | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
	if [[ "$$(printf '%s\n' "$$glibc" GLIBC_$(GLIBC) | sort -V | tail -n 1)" != GLIBC_$(GLIBC) ]]; then
		echo "$<: needs $$glibc; Amazon Linux 2023 has GLIBC_$(GLIBC)" >&2
		exit 1
	fi
	needed=$$(objdump -p $< | awk '$$1 == "NEEDED" { print $$2 }' | sort)
	foreign=$$(comm -23 <(echo "$$needed") <(printf '%s\n' $(GLIBC_LIBRARIES) | sort))
	if [[ -n "$$foreign" ]]; then
		echo "$<: needs" $$foreign "beside glibc's own libraries" >&2
		exit 1
	fi
	echo "$<: needs $$glibc of" $$needed

# What `sam build` calls.
.PHONY: build-DockerTLSCertFunction
build-DockerTLSCertFunction: check-bootstrap
	install -D -m 755 $(BOOTSTRAP) "$(ARTIFACTS_DIR)/bootstrap"

.PHONY: tools
tools: packages $(VENV)/requirements.txt

$(VENV)/requirements.txt: tests/requirements.txt
$(ENGINE)/requirements.txt: tests/e2e_cloudformation/requirements.txt
$(VENV)/requirements.txt $(ENGINE)/requirements.txt: | packages
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	cp $< $@

.PHONY: packages
packages:
	@$(call install,$(COMMANDS))

# Installs what is missing of COMMAND:PACKAGE…
define install
packages=()
for need in $(1); do
	command -v "$${need%%:*}" >/dev/null || packages+=("$${need##*:}")
done
# Debian's Python comes without the module that puts pip into a venv.
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
if (( $${#packages[@]} > 0 )); then
	if (( EUID != 0 )) || ! command -v apt-get >/dev/null; then
		echo "make: missing on this machine: $${packages[*]}. As root, on Debian: apt-get install $${packages[*]}" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq install --yes --no-install-recommends "$${packages[@]}"
fi
endef

.PHONY: clean
clean:
	rm -rf target .aws-sam
