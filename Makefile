# SPDX-License-Identifier: Apache-2.0
#
# make            the library and the command, in build/release
# make demo       the main job on real data: installs what is missing, builds,
#                 runs
# make check      builds and runs every test under prove
# make check V=asan|tsan|ubsan|scalar [CC=clang]    the same, instrumented
# make check-arm  tests of shm and ipc for AArch64, under qemu
# make soak       all vectors renewed ten times over, then the kill -9 storm for
#                 an hour, or SECONDS=...
# make fuzz       what reads bytes of others is given bytes at random, each
#                 target for ten minutes, or FUZZ_SECONDS=...; B=NAME one
# make faults     failing calls, power cuts and deaths, complete: some ten
#                 minutes
# make bench      every benchmark but search1m; make bench B=NAME one;
#                 make profile B=NAME
# make bench-hosts  servers under load; tools/deps load installs what it needs
# make install    DESTDIR= PREFIX=/usr/local; install-strip, uninstall
# make deb        Debian packages; tools/package/README.md
# make dist       the sources, build/coppice-VERSION.tar.xz
# make python     the module for Python; make install-python PYTHON=python3
# make node       the addon for Node.js; make install-node
# make nginx      the module for nginx
# make format     rewrites the sources as .clang-format says
# make man        the manual pages from tools/man/*.scd
# make lint       clang-format and cppcheck, complaints are errors
# make counts     deterministic counts against tests/counts.tsv
# make memcheck   the script of the fault tests and others under valgrind
# make deps       installs Debian packages that are missing

V ?= release
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# SHARED=1 has the command and the modules for other languages use the shared
# library, as a distribution wants it; else they have it in them.
SHARED ?=

VERSION := 0.1.0
SONAME := libcoppice.so.0

out := build/$(V)
ifneq ($(origin CC),default)
ifneq ($(CC),gcc)
out := build/$(V)-$(notdir $(CC))
endif
endif

warnings := -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wformat=2 -Werror
CFLAGS ?= -O2 -g
CPPFLAGS ?= $(if $(filter release,$(V)),-D_FORTIFY_SOURCE=2)
LDFLAGS ?=
std := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-DCOP_VERSION_TEXT='"$(VERSION)"'
hard := -fPIC -fvisibility=hidden -fstack-protector-strong \
	-fno-strict-aliasing -ffile-prefix-map=$(CURDIR)=.

san_release :=
san_asan := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
san_ubsan := -fsanitize=undefined -fno-sanitize-recover=all
san_tsan := -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
san_scalar := -DCOP_SCALAR_ONLY
san_fuzz := $(san_asan) -fsanitize=fuzzer-no-link
san := $(san_$(V))

# Sanitizers and valgrind reserve address space of their own.
env_asan := COPPICE_RESERVE=16G COPPICE_MAP_SIZE=16G \
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
env_ubsan := UBSAN_OPTIONS=print_stacktrace=1
env_tsan := COPPICE_RESERVE=16G COPPICE_MAP_SIZE=16G \
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
env_scalar := COPPICE_CPU=scalar
env_fuzz := $(env_asan)
test_env := $(env_$(V))

lib_libs := -llmdb -lxxhash -llz4 -lpthread -lm
tool_libs := -ljansson -lz -lzstd -lmicrohttpd -lexpat -lserd-0

compile = $(CC) $(std) $(hard) $(warnings) $(san) $(CPPFLAGS) $(CFLAGS) \
	$(isa) -MMD -MP -Ishm -Iipc -Icore
link = $(CC) $(san) $(CFLAGS) $(LDFLAGS) -Wl,-z,relro -Wl,-z,now \
	-Wl,-z,noexecstack -Wl,--as-needed

lib_src := $(sort $(wildcard shm/*.c ipc/*.c core/*.c))
tool_src := $(sort $(wildcard tools/*.c))
library = $(out)/$(if $(SHARED),$(SONAME),libcoppice.a)
bench_src := $(sort $(wildcard tools/bench/*.c))
demo_src := $(sort $(wildcard tools/demo/*.c))
test_src := $(sort $(wildcard tests/*.c))
lib_obj := $(lib_src:%.c=$(out)/%.o)
tool_obj := $(tool_src:%.c=$(out)/%.o)
# Programs with a main of their own: one a file; bench_*.c is shared.
bench_common := $(filter tools/bench/bench_%,$(bench_src))
bench_bin := $(patsubst tools/bench/%.c,$(out)/bench/%,\
	$(filter-out $(bench_common),$(bench_src)))
# The peer of search and search1m is in C++, and left out where it or a
# compiler for it is not installed.  B=search installs it if that can be done.
hnswlib := $(wildcard /usr/include/hnswlib/hnswlib.h)
ifneq ($(filter search search1m,$(B)),)
ifeq ($(hnswlib),)
hnswlib := $(shell tools/deps peer >&2 || \
	echo 'hnswlib cannot be had: coppice alone' >&2; \
	ls /usr/include/hnswlib/hnswlib.h 2>/dev/null)
endif
endif
peer_cxx := $(if $(hnswlib),$(shell command -v g++))
peer_obj := $(if $(peer_cxx),$(out)/tools/bench/bench_hnswlib.o)
demo_obj := $(demo_src:%.c=$(out)/%.o)
test_bin := $(test_src:tests/%.c=$(out)/tests/%.t)
torture_obj := $(patsubst %.c,$(out)/%.o,$(sort $(wildcard tests/torture/*.c)))
test_sh := $(sort $(filter-out tests/tap.sh tests/tmpfs.sh,$(wildcard tests/*.sh)))

all: $(out)/libcoppice.a $(out)/$(SONAME) $(out)/coppice \
	$(out)/coppice.cdef.h $(out)/coppice.ffi.h

# Commands are shown with S=1.
quiet := $(if $(S),,@)
say = @$(if $(S),:,echo) "  $(1)	$(subst $(out)/,,$@)"

$(out)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(quiet)$(compile) -c -o $@ $<

# The kernels are compiled for their own instruction sets and chosen at run
# time; nothing else may use more than the baseline.
arch := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
isa_avx2_x86_64 := -mavx2 -mfma -mf16c -mpopcnt
isa_avx512_x86_64 := $(isa_avx2_x86_64) -mavx512f -mavx512bw -mavx512vl \
	-mavx512dq -mavx512vnni
isa_neon_dot_aarch64 := -march=armv8.2-a+dotprod
$(out)/shm/kernel_avx2.o: isa := $(isa_avx2_$(arch)) -O3 -fno-lto
$(out)/shm/kernel_avx512.o: isa := $(isa_avx512_$(arch)) -O3 -fno-lto
$(out)/shm/kernel_neon_dot.o: isa := $(isa_neon_dot_$(arch)) -O3 -fno-lto
$(out)/shm/kernel_neon.o $(out)/shm/kernel_scalar.o $(out)/shm/code.o: \
	isa := -O3 -fno-lto
$(out)/shm/kdtree_search.o: isa := -O3

$(out)/libcoppice.a: $(lib_obj)
	@rm -f $@
	$(call say,AR)
	$(quiet)$(AR) rcsD $@ $^

$(out)/$(SONAME): $(lib_obj) core/coppice.map
	$(call say,LD)
	$(quiet)$(link) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=core/coppice.map \
		-o $@ $(lib_obj) $(lib_libs)
	@ln -sf $(SONAME) $(out)/libcoppice.so

# The page of `coppice serve` is part of the command.
$(out)/tools/serve_page.o: $(wildcard tools/serve/page/*)

# serd's header lies in a folder of its version.
$(out)/tools/format_rdf.o: isa = $(patsubst -I%,-isystem %,\
	$(shell pkg-config --cflags serd-0))

$(out)/coppice: $(tool_obj) $(library)
	$(call say,LD)
	$(quiet)$(link) -o $@ $^ $(lib_libs) $(tool_libs)

$(out)/tools/bench/bench_hnswlib.o: tools/bench/bench_hnswlib.cc Makefile
	@mkdir -p $(@D)
	$(call say,CXX)
	$(quiet)$(peer_cxx) -std=c++17 -O3 -march=native -g -fPIC -Wall -Wextra \
		-Werror $(san) -MMD -MP -c -o $@ $<

$(out)/bench/search $(out)/bench/search1m: $(peer_obj)
$(out)/bench/search $(out)/bench/search1m: peer_libs := \
	$(if $(peer_obj),-lstdc++)

$(out)/bench/%: $(out)/tools/bench/%.o $(bench_common:%.c=$(out)/%.o) \
		$(out)/libcoppice.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(link) -o $@ $^ $(lib_libs) $(peer_libs)

$(out)/coppice-demo: $(demo_obj) $(out)/libcoppice.a
	$(call say,LD)
	$(quiet)$(link) -o $@ $^ $(lib_libs)

$(out)/prefork: $(out)/tools/prefork/prefork.o $(out)/libcoppice.a
	$(call say,LD)
	$(quiet)$(link) -o $@ $^ $(lib_libs)

# Plain declarations for foreign-function parsers: cffi, LuaJIT, PHP's FFI,
# which is told the library's name in it.
$(out)/coppice.cdef.h: core/coppice.h Makefile
	$(call say,GEN)
	$(quiet)$(CC) -E -P -DCOP_CDEF $< >$@

$(out)/coppice.ffi.h: $(out)/coppice.cdef.h
	$(call say,GEN)
	$(quiet)(echo '#define FFI_SCOPE "COPPICE"'; \
		echo '#define FFI_LIB "$(SONAME)"'; cat $<) >$@

# The module for Python: one file, the library in it.  Python's headers are
# those of the interpreter it is for, any from 3.11 on.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
PYTHON_INCLUDE ?= $(shell $(PYTHON) -c \
	'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)
python_obj := $(patsubst %.c,$(out)/%.o,$(sort $(wildcard tools/python/src/*.c)))
python_module := $(out)/python/_coppice.abi3.so

# Its tables of a type's functions keep them as void *.
$(python_obj): isa = -isystem $(PYTHON_INCLUDE) -Wno-pedantic
$(python_module): $(python_obj) $(library) tools/python/module.map
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(link) -shared -Wl,--version-script=tools/python/module.map \
		-o $@ $(python_obj) $(library) $(lib_libs)

python: $(python_module)
	@mkdir -p $(out)/python/coppice
	@cp tools/python/coppice/* $(python_module) $(out)/python/coppice

PYTHON_DIR ?= $(shell $(PYTHON) -c \
	'import sysconfig; print(sysconfig.get_path("platlib"))' 2>/dev/null)

install-python: python
	install -d $(DESTDIR)$(PYTHON_DIR)/coppice
	install -m 644 tools/python/coppice/* $(python_module) \
		$(DESTDIR)$(PYTHON_DIR)/coppice
.PHONY: python install-python

# Targets of the fuzzer: one a file, with what runs them.  In a build without
# the fuzzer that is a main() which replays inputs.
fuzz_src := $(sort $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
fuzz_bin := $(fuzz_src:tests/fuzz/%.c=$(out)/fuzz/%)
fuzz_main := $(if $(filter fuzz,$(V)),-fsanitize=fuzzer,\
	$(out)/tests/fuzz/replay.o)

$(out)/tests/fuzz/%.o: isa = -I.
$(out)/fuzz/tools.a: $(filter-out %/coppice.o,$(tool_obj))
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)
	$(quiet)$(AR) rcsD $@ $^

$(out)/fuzz/%: $(out)/tests/fuzz/%.o $(out)/fuzz/tools.a \
		$(out)/libcoppice.a $(filter %.o,$(fuzz_main))
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(link) -o $@ $^ $(filter -%,$(fuzz_main)) $(lib_libs) \
		$(tool_libs)

FUZZ_SECONDS ?= 600
fuzz_all: $(fuzz_bin)
fuzz:
	@$(MAKE) --no-print-directory V=fuzz CC=clang fuzz_all
	@tests/fuzz/run build/fuzz-clang $(FUZZ_SECONDS) $(B)
.PHONY: fuzz fuzz_all

$(out)/torture: $(torture_obj) $(out)/libcoppice.a
	$(call say,LD)
	$(quiet)$(link) -o $@ $^ $(lib_libs)

$(out)/tests/linear.t: $(out)/tests/torture/linear.o
$(out)/tests/editions.t $(out)/tests/misp.t: test_libs := $(tool_libs)

$(out)/tests/%.t: $(out)/tests/%.o $(out)/libcoppice.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(lib_libs) \
		$(test_libs)

# Tests that let calls of the system's fail preload this; no sanitizer in it.
$(out)/tests/faults/shim.so: tests/faults/shim.c tests/faults/shim.h Makefile
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(CC) -std=c11 -D_GNU_SOURCE $(hard) $(warnings) -O2 -g -shared \
		-o $@ $<

$(out)/tests/faults.t $(out)/tests/power_cut.t: \
	| $(out)/tests/faults/shim.so

.PHONY: all check check-arm check-shm faults memcheck soak bench bench-hosts \
	profile demo format lint counts deps clean
.SECONDARY:

# The module for nginx, for the one whose headers nginx-dev installs.
NGINX_SOURCE ?= /usr/share/nginx/src
nginx_headers := $(out)/nginx/headers
nginx_config := $(nginx_headers)/objs/ngx_auto_config.h
nginx_obj := $(patsubst %.c,$(out)/%.o,$(sort $(wildcard tools/nginx/*.c)))
nginx_module := $(out)/nginx/ngx_http_coppice_module.so

# The list is as old as the installation; the headers are as their package.
$(nginx_config): tools/nginx/headers \
		$(wildcard /var/lib/dpkg/info/nginx-dev.list)
	$(call say,CONF)
	$(quiet)tools/nginx/headers $(nginx_headers) $(NGINX_SOURCE)

$(nginx_obj): $(nginx_config)
$(nginx_obj): isa = -isystem $(nginx_headers)/objs $(patsubst %,\
	-isystem $(NGINX_SOURCE)/src/%,core event event/modules os/unix http \
	http/modules http/v2)

$(nginx_module): $(nginx_obj) $(library) tools/nginx/module.map
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(link) -shared -Wl,--version-script=tools/nginx/module.map \
		-o $@ $(nginx_obj) $(library) $(lib_libs) -ljansson

nginx: $(nginx_module)
.PHONY: nginx

# The addon for Node.js, 18 and later ones: one file, the library in it.  Its
# headers come with Node.js, with Debian's libnode-dev, or from npm:
# npm install --prefix build/npm --no-save node-api-headers
NODE_INCLUDE ?= $(patsubst %/node_api.h,%,$(firstword $(wildcard \
	$(addsuffix /node_api.h,build/npm/node_modules/node-api-headers/include \
	/usr/include/node /usr/include/nodejs/src))))
node_obj := $(patsubst %.c,$(out)/%.o,$(sort $(wildcard tools/node/src/*.c)))
node_module := $(out)/node/coppice/coppice.node

# Threads of Node.js outlive an addon that the last worker_thread gives back.
$(node_obj): isa = -isystem $(NODE_INCLUDE)
$(node_module): $(node_obj) $(out)/libcoppice.a tools/node/module.map
	@mkdir -p $(@D)
	$(call say,LD)
	$(quiet)$(link) -shared -Wl,--version-script=tools/node/module.map \
		-Wl,-z,nodelete -o $@ $(node_obj) $(out)/libcoppice.a $(lib_libs)

node: $(node_module)
	@cp tools/node/package.json tools/node/index.js tools/node/index.d.ts \
		$(out)/node/coppice

NODE_DIR ?= $(PREFIX)/lib/node_modules

install-node: node
	install -d $(DESTDIR)$(NODE_DIR)/coppice
	install -m 644 $(out)/node/coppice/* $(DESTDIR)$(NODE_DIR)/coppice
.PHONY: node install-node

# Bindings are built for their tests where their hosts are installed.
hosts := $(if $(wildcard $(PYTHON_INCLUDE)/Python.h),python) \
	$(if $(wildcard $(NGINX_SOURCE)/conf_flags),nginx) \
	$(if $(NODE_INCLUDE),node)

tests: all $(test_bin) $(fuzz_bin) $(out)/torture $(out)/prefork $(if $(filter release,$(V)),$(hosts))
.PHONY: tests

TESTS ?= $(test_bin) $(test_sh)
prove := $(test_env) COPPICE=$(out)/coppice COPPICE_BUILD=$(out) \
	prove --timer --merge --failures -j2 --exec ''

check: tests
	@$(prove) $(TESTS)

# The modules of shm and ipc alone; ThreadSanitizer sees races of threads on
# one mapping only, which is how these tests use them.
shm_tests := $(patsubst %,$(out)/tests/%.t,$(sort $(filter \
	$(basename $(notdir $(wildcard shm/*.c ipc/*.c))) head_stress %_stress,\
	$(basename $(notdir $(test_src))))))

check-shm: $(shm_tests)
	@$(prove) $(shm_tests)

# For AArch64, under qemu: the whole library is compiled, and tests run that
# need no other library, of which only the headers are there for both.  One
# processor has the dot product instructions, the other must not meet them.
# Stress is left out: on this processor's memory qemu shows nothing new.
arm_cc := aarch64-linux-gnu-gcc
arm_emulator := qemu-aarch64
arm_kernel := build/arm64/tests/kernel.t
arm_other := $(patsubst %,build/arm64/tests/%.t,code bank idmap limbo lock \
	mailbox slot)
arm_prove := COPPICE_TEST_STRIDE=11 prove --timer --merge --failures -j2 \
	--exec '$(arm_emulator) -L /usr/aarch64-linux-gnu'

check-arm:
	@for tool in $(arm_cc) $(arm_emulator) prove; do \
		command -v $$tool >/dev/null && continue; \
		echo "check-arm: no $$tool here; tools/deps arm installs it" >&2; \
		exit 1; \
	done
	@$(MAKE) --no-print-directory V=arm64 out=build/arm64 CC=$(arm_cc) \
		AR=$(arm_cc:%gcc=%ar) lib_libs='-lpthread -lm' \
		CPPFLAGS='-idirafter /usr/include -DXXH_INLINE_ALL' \
		build/arm64/libcoppice.a $(arm_kernel) $(arm_other)
	@QEMU_CPU=max $(arm_prove) $(arm_kernel)
	@QEMU_CPU=cortex-a57 $(arm_prove) $(arm_other)

# The storm of tests/torture.sh, for longer.
SECONDS ?= 3600
soak: $(out)/torture $(out)/bench/churn
	$(out)/bench/churn build/bench
	$(test_env) $(out)/torture --seconds $$(($(SECONDS) / 2))
	$(test_env) $(out)/torture --seconds $$(($(SECONDS) / 2)) \
		--folder /dev/shm

faults: $(addprefix $(out)/tests/,faults.t power_cut.t crash.t)
	@COPPICE_TEST_STRIDE=1 $(prove) $^

B ?=
bench: all $(bench_bin)
	@mkdir -p build/bench
	@for b in $(or $(B),$(filter-out search1m,$(notdir $(bench_bin)))); do \
		$(out)/bench/$$b build/bench || exit 1; done

# The example service in real servers, under load; it says what is missing.
bench-hosts: $(out)/coppice-demo $(hosts)
	$(PYTHON) tools/bench/hosts.py $(out) build/bench

profile: all $(bench_bin)
	perf record -g -o build/perf.data $(out)/bench/$(B) build/bench
	perf report -i build/perf.data --stdio | head -60

demo:
	@tools/demo/run $(out)

deps:
	@tools/deps build test

sources := $(wildcard */*.[ch] tools/*/*.[ch] tools/*/*/*.[ch] tests/*/*.[ch])

format:
	clang-format -i $(sources)

# What the macros of hosts hide cppcheck cannot see.
lint:
	clang-format --dry-run -Werror $(sources)
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
		--enable=warning,performance,portability -Ishm -Iipc -Icore \
		--suppress=missingIncludeSystem -j2 shm ipc core tools \
		-i tools/python -i tools/nginx

# The pages are kept beside their sources: scdoc is needed to change them only.
# A hyphen that somebody types is one, nor does a line end there: in bold, and
# in examples.
MAN_DATE := 2026-11-28
MAN_OUT ?= tools/man
man_pages := coppice.1 coppice.3 coppice-settings.7

typed := $$nf = /^\.nf/ if /^\.(nf|fi)/; next if /^\./; \
	$$nf ? s/-/\\-/g : s{(\\fB.*?\\fR)}{$$1 =~ s/-/\\-/gr}ge

man:
	@for page in $(man_pages); do \
		SOURCE_DATE_EPOCH=$$(date -u -d $(MAN_DATE) +%s) scdoc \
			<tools/man/$$page.scd | perl -pe '$(typed)' \
			>$(MAN_OUT)/$$page || exit 1; \
	done
.PHONY: man

counts: all $(bench_bin)
	tests/counts $(out)

memcheck: tests
	tests/memcheck $(out)

# install_file FOLDER,MODE,FILES; install_text FOLDER,FILES, with places named
unit_src := $(sort $(wildcard tools/package/systemd/*@.*))
install_file = install -D -m $(2) -t $(DESTDIR)$(1) $(3)
install_text = $(foreach f,$(2),install -D -m 644 $f -t $(DESTDIR)$(1) && sed -i \
	-e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@BINDIR@|$(BINDIR)|' \
	-e 's|@VERSION@|$(VERSION)|' $(DESTDIR)$(1)/$(notdir $f) &&) :
.PHONY: install install-strip uninstall

install: all
	$(call install_file,$(LIBDIR),644,$(out)/libcoppice.a)
	install -m 644 $(out)/$(SONAME) \
		$(DESTDIR)$(LIBDIR)/libcoppice.so.$(VERSION)
	ln -sf libcoppice.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libcoppice.so
	$(call install_text,$(LIBDIR)/pkgconfig,core/coppice.pc)
	$(call install_file,$(INCLUDEDIR),644,core/coppice.h \
		$(out)/coppice.cdef.h $(out)/coppice.ffi.h)
	$(call install_file,$(BINDIR),755,$(out)/coppice)
	$(call install_file,$(MANDIR)/man1,644,tools/man/coppice.1)
	$(call install_file,$(MANDIR)/man3,644,tools/man/coppice.3)
	$(call install_file,$(MANDIR)/man7,644,tools/man/coppice-settings.7)
	install -D -m 644 tools/completion/coppice.bash $(DESTDIR)$(BASHDIR)/coppice
	$(call install_file,$(ZSHDIR),644,tools/completion/_coppice)
	$(call install_file,$(FISHDIR),644,tools/completion/coppice.fish)
	$(call install_text,$(UNITDIR),$(unit_src))
	install -D -m 644 tools/package/systemd/sysusers.conf \
		$(DESTDIR)$(SYSUSERSDIR)/coppice.conf
	install -D -m 644 tools/package/systemd/tmpfiles.conf \
		$(DESTDIR)$(TMPFILESDIR)/coppice.conf
	$(call install_file,$(DATADIR)/coppice/php,644,tools/php/Coppice.php)
	$(call install_file,$(DATADIR)/coppice/php/src,644,tools/php/src/*.php)
	$(call install_file,$(DATADIR)/coppice/hdf5,755,\
		tools/hdf5/hdf5_vectors.py)

install-strip: install
	strip --strip-unneeded $(DESTDIR)$(LIBDIR)/libcoppice.so.$(VERSION) \
		$(DESTDIR)$(BINDIR)/coppice
	strip --strip-debug $(DESTDIR)$(LIBDIR)/libcoppice.a

uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libcoppice.a libcoppice.so \
			$(SONAME) libcoppice.so.$(VERSION) pkgconfig/coppice.pc) \
		$(addprefix $(DESTDIR)$(INCLUDEDIR)/,coppice.h coppice.cdef.h \
			coppice.ffi.h) \
		$(addprefix $(DESTDIR)$(MANDIR)/,man1/coppice.1 man3/coppice.3 \
			man7/coppice-settings.7) \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(unit_src))) \
		$(DESTDIR)$(BINDIR)/coppice $(DESTDIR)$(BASHDIR)/coppice \
		$(DESTDIR)$(ZSHDIR)/_coppice $(DESTDIR)$(FISHDIR)/coppice.fish \
		$(DESTDIR)$(SYSUSERSDIR)/coppice.conf \
		$(DESTDIR)$(TMPFILESDIR)/coppice.conf
	rm -rf $(DESTDIR)$(DATADIR)/coppice

# What the library exports, as dpkg-gensymbols has it: since which version.
symbols: $(out)/$(SONAME)
	tools/package/symbols $< $(VERSION) core/libcoppice.symbols

deb:
	tools/package/build build/deb

# The sources: of the same commit always the same bytes.
DIST ?= build
dist:
	@mkdir -p $(DIST)
	@rm -rf $(DIST)/coppice-$(VERSION)
	tools/package/export $(DIST)/coppice-$(VERSION)
	tar -C $(DIST) --sort=name --owner=0 --group=0 --numeric-owner \
		--mode=u+rw,go=rX --mtime=@$${SOURCE_DATE_EPOCH:-$$(git log -1 \
		--format=%ct)} -cJf $(DIST)/coppice-$(VERSION).tar.xz \
		coppice-$(VERSION)
	@rm -rf $(DIST)/coppice-$(VERSION)
.PHONY: symbols deb dist

clean:
	rm -rf build

-include $(shell find $(out) -name '*.d' 2>/dev/null)
