# SPDX-License-Identifier: Apache-2.0
# The front door. `make help` says what there is; the work is done by meson and the scripts in tools/.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD = build-release

help:
	@echo 'make demo         install what is missing, build, send and fetch 1 GiB in 10,000 files; about a minute'
	@echo 'make test         every test, in every build; about twenty-five minutes'
	@echo 'make test-long    the long forms: hundreds of kills, many seeds, ten minutes of fuzzing a target'
	@echo 'make test-guards  take out each security check in turn; its test must fail'
	@echo 'make bench        the main figures, beside scp, rsync, rclone, curl, iperf3, UDT, uftp; 20 minutes at most'
	@echo 'make bench-full   all pairs of round trip and loss; goes on where it stopped'
	@echo 'make install      build and install below $$(DESTDIR)$$(PREFIX) (DESTDIR=, PREFIX=/usr/local)'
	@echo 'make fmt lint     lay out all code with clang-format; run the linters'
	@echo 'make clean        remove all build folders'
	@echo './dev             the same and more, for those who work on Longhaul'

all: release

deps-build deps-test deps-bench:
	@tools/install-deps $(@:deps-%=%)

release: deps-build
	@test -e $(BUILD)/build.ninja || meson setup $(BUILD) --buildtype=release -Dtests=disabled \
		-Dprefix=$(PREFIX) > /dev/null
	@meson configure $(BUILD) -Dprefix=$(PREFIX) > /dev/null
	@ninja -C $(BUILD)

demo: release
	@tools/demo $(BUILD)/src/cmd

test: deps-test
	@tools/run-tests

test-long: deps-test
	@tools/run-tests --long

test-guards: deps-test
	@tools/test-guards

bench: deps-bench release
	@bench/run

bench-full: deps-bench release
	@bench/run --full

install: release
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild

fmt:
	@tools/fmt

lint: deps-test
	@tools/lint

clean:
	rm -rf build build-*

.PHONY: help all deps-build deps-test deps-bench release demo test test-long test-guards bench bench-full \
	install fmt lint clean
