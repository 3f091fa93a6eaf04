# poe: host, Lua module, tests.  `make help` lists the targets.
# Every variable can be set on the command line.

CC ?= gcc
LUA ?= lua5.4
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
INST_BINDIR ?= $(PREFIX)/bin
INST_LUADIR ?= $(PREFIX)/share/lua/5.4
INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4
INST_MANDIR ?= $(PREFIX)/share/man
INST_INCDIR ?= $(PREFIX)/include
INST_CLIBDIR ?= $(PREFIX)/lib
# Set to nothing, install leaves the library for C programs out.
INST_LIB ?= install-lib
LUA_PC := $(firstword $(foreach p,lua5.4 lua-5.4 lua54 lua,$(shell \
  $(PKG_CONFIG) --exists '$(p) >= 5.4' '$(p) < 5.5' 2>/dev/null && echo $(p))))
LUA_CFLAGS ?= $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell \
  $(PKG_CONFIG) --cflags $(LUA_PC) 2>/dev/null))
UV_CFLAGS ?= $(if $(LIBUV_INCDIR),-I$(LIBUV_INCDIR),$(shell \
  $(PKG_CONFIG) --cflags libuv 2>/dev/null))
UV_LIBS ?= $(if $(LIBUV_LIBDIR),-L$(LIBUV_LIBDIR) -luv,$(shell \
  $(PKG_CONFIG) --libs libuv 2>/dev/null))
# The static liblua is markedly faster in the host; the shared one will do.
LUA_LIBDIR ?= $(shell $(PKG_CONFIG) --variable=libdir $(LUA_PC) 2>/dev/null)
LUA_STATIC := $(wildcard $(LUA_LIBDIR)/liblua5.4.a)
LUA_LIBS ?= $(if $(LUA_STATIC),$(LUA_STATIC),$(shell \
  $(PKG_CONFIG) --libs $(LUA_PC) 2>/dev/null))

# A program and its libraries must share one Lua.
LUA_SHARED ?= $(if $(LUA_PC),$(shell \
  $(PKG_CONFIG) --libs $(LUA_PC)),$(LUA_LIBS))

# Optional: the bridge to GLib.
GLIB_PC := $(shell $(PKG_CONFIG) --exists glib-2.0 gobject-2.0 2>/dev/null && \
  echo glib-2.0 gobject-2.0)
GLIB_SO := $(if $(GLIB_PC),poe/loop/glib.so)

# Optional: llhttp, for HTTP; a library, or its source as Debian has it.
LLHTTP_PC := $(shell $(PKG_CONFIG) --exists 'libllhttp >= 8' 2>/dev/null && \
  echo libllhttp)
LLHTTP_DIR ?= $(if $(LLHTTP_PC),,$(patsubst %/llhttp.c,%,$(wildcard \
  /usr/share/llhttp/llhttp.c)))
LLHTTP_INCDIR ?= /usr/share/include/llhttp
LLHTTP_CFLAGS ?= $(if $(LLHTTP_PC),$(shell $(PKG_CONFIG) --cflags \
  libllhttp),-DLLHTTP_STRICT_MODE=1 -I$(LLHTTP_INCDIR))
LLHTTP_LIBS ?= $(if $(LLHTTP_PC),$(shell $(PKG_CONFIG) --libs libllhttp))
HTTP_SO := $(if $(LLHTTP_PC)$(LLHTTP_DIR),poe/http.so)

SAN ?=
BUILD ?= build$(if $(SAN),/san)
OBJ := $(BUILD)/obj
# Link-time optimisation is gcc's: clang's needs a linker of its own.
LTO ?= $(if $(SAN),,$(shell $(CC) --version | grep -q clang || echo -flto=auto))
OPT ?= -O3 -g $(LTO)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -Wconversion -Wwrite-strings $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong $(if $(SAN)$(findstring -O0,$(CFLAGS)),, \
  -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CFLAGS ?= $(OPT)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) \
  -pthread $(HARDEN) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) \
  -fno-sanitize-recover=all -fno-omit-frame-pointer) \
  -Isrc $(LUA_CFLAGS) $(UV_CFLAGS)
LIBFLAG ?= -shared
ALL_LDFLAGS := -pthread -Wl,-z,relro,-z,now $(CFLAGS) $(LDFLAGS) \
  $(if $(SAN),-fsanitize=$(SAN))
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBFLAG) $(LUA_LIBS) $(UV_LIBS) \
  $(HTTP_SO) $(LLHTTP_CFLAGS) $(LLHTTP_LIBS)

objects = $(patsubst %.c,$(OBJ)/%.o,$(patsubst src/%,%,$(wildcard $(1)/*.c)))
KERNEL := $(call objects,src/kernel)
BINDING := $(call objects,src/binding)
SYS := $(call objects,src/sys)
HOST := $(call objects,src/host) $(OBJ)/cli.o
HTTP := $(if $(HTTP_SO),$(OBJ)/http/http.o $(if $(LLHTTP_DIR),$(addprefix \
  $(OBJ)/llhttp/,api.o http.o llhttp.o)))
UNIT := $(call objects,spec/c)
# The library for C programs has objects of its own, that any linker can read.
VERSION := $(shell sed -n 's/.*POE_VERSION "\(.*\)"/\1/p' src/poe.h)
SONAME := libpoe.so.$(firstword $(subst ., ,$(VERSION)))
EMBED := $(patsubst src/%.c,$(BUILD)/pic/%.o,$(wildcard src/kernel/*.c \
  src/binding/*.c src/sys/*.c src/embed/*.c))
LIBS := $(addprefix $(BUILD)/lib/,libpoe.a libpoe.so poe.pc)

.PHONY: all host module lib unit oom deps demo test test-san test-threads \
  test-gc valgrind run-demo \
  run-tests spec oracle fuzz-oracle fuzz-filters check bench bench-peers \
  bench-budget cov flake storms times faults churn soak install install-lib \
  uninstall clean help force fuzz fuzz-oom analyze
all: host module  ## the host and the Lua module

host: $(BUILD)/bin/poe  ## the executable, build/bin/poe
module: $(BUILD)/lib/poe/core.so $(BUILD)/lib/poe/sys.so \
  $(GLIB_SO:%=$(BUILD)/lib/%) $(HTTP_SO:%=$(BUILD)/lib/%)  ## for plain Lua
lib: $(LIBS)  ## for C programs: build/lib/libpoe.a and .so, poe.pc
oom: $(BUILD)/oom  ## programs whose allocations fail, build/oom
unit: $(BUILD)/unit  ## C tests of the kernel, build/unit

comma := ,
# Replaced in one step: the old one may be running.
link = @mkdir -p $(@D) && echo "  LINK $@" && \
  $(CC) $(ALL_LDFLAGS) $(1) -o $@.$$$$ $^ $(2) && mv $@.$$$$ $@
compile = @mkdir -p $(@D) && echo "  CC   $<" && \
  $(CC) $(ALL_CFLAGS) $(1) -MMD -MP -c -o $@ $<

$(BUILD)/bin/poe: $(HOST) $(BINDING) $(SYS) $(HTTP) $(KERNEL)
	$(call link,-rdynamic,$(LUA_LIBS) $(UV_LIBS) $(LLHTTP_LIBS) -lm -ldl)

# The command line, cli.lua, is in the host as bytecode.
$(OBJ)/precompile: src/tool/precompile.c $(BUILD)/flags
	@mkdir -p $(@D) && echo "  CC   $<" && \
	  $(CC) -O1 $(WARN) $(LUA_CFLAGS) -o $@ $< $(LUA_LIBS) -lm -ldl
$(OBJ)/cli.c: lua/poe/cli.lua $(OBJ)/precompile
	@$(OBJ)/precompile $< host_cli >$@.new && mv $@.new $@
$(OBJ)/cli.o: $(OBJ)/cli.c
	$(call compile,-fno-lto)

$(BUILD)/lib/poe/core.so: $(BINDING) $(KERNEL)
	$(call link,$(LIBFLAG),$(UV_LIBS))

# A thread of sys.resolve may outlive the Lua state: its code stays.
$(BUILD)/lib/poe/sys.so: LIBFLAG += -Wl,-z,nodelete
$(BUILD)/lib/poe/sys.so: $(SYS)
	$(call link,$(LIBFLAG))

$(BUILD)/lib/poe/http.so: $(HTTP)
	$(call link,$(LIBFLAG),$(LLHTTP_LIBS))

$(BUILD)/lib/poe/loop/glib.so: $(OBJ)/glib/loop_glib.o
	$(call link,$(LIBFLAG),$(shell $(PKG_CONFIG) --libs $(GLIB_PC)))

$(BUILD)/unit: $(UNIT) $(KERNEL)
	$(call link,,$(UV_LIBS) -lm)

# Programs made of bytes: spec/fuzz/NAME_fuzz.c and what it tries, with replay.c
# as replay-NAME, with libFuzzer as fuzz-NAME (make fuzz, which has a build of
# its own).
FUZZ ?= kernel $(if $(HTTP_SO),http) sys host
fuzzing = $(patsubst %,$(OBJ)/spec/fuzz/%.o,$(1))
FUZZ_kernel := $(call fuzzing,kernel_fuzz) $(KERNEL) $(patsubst \
  %,$(OBJ)/spec/c/%.o,check fake_clock fake_host fake_loop)
FUZZ_http := $(call fuzzing,http_fuzz state) $(HTTP)
LIMITED := $(SYS:$(OBJ)/%=$(OBJ)/limited/%) $(call fuzzing,sys_limits state)
FUZZ_sys := $(call fuzzing,sys_fuzz values) $(LIMITED)
FUZZ_host := $(call fuzzing,host_fuzz) $(LIMITED) $(HTTP) $(OBJ)/limited/host/main.o \
  $(filter-out %/main.o,$(HOST)) $(BINDING) $(KERNEL)
WRAP_host := $(patsubst %,-Wl$(comma)--wrap=%,luaopen_os luaopen_io \
  host_open_state atexit fork fopen)
FUZZ_LIBS := $(LUA_LIBS) $(UV_LIBS) $(LLHTTP_LIBS) -lm -ldl

define fuzz_rules
$(BUILD)/replay-$(1): $(call fuzzing,replay) $(FUZZ_$(1))
	$$(call link,$$(WRAP_$(1)),$(FUZZ_LIBS))
$(BUILD)/fuzz-$(1): $(FUZZ_$(1))
	$$(call link,-fsanitize=fuzzer $$(WRAP_$(1)),$(FUZZ_LIBS))
endef
$(foreach name,$(FUZZ),$(eval $(call fuzz_rules,$(name))))

$(OBJ)/spec/fuzz/%.o: ALL_CFLAGS += -Ispec/c -Isrc/kernel
$(OBJ)/limited/%.o: src/%.c $(BUILD)/flags
	$(call compile,-DFUZZ_LIMITED -include spec/fuzz/sys_limits.h)
$(OBJ)/limited/host/main.o: ALL_CFLAGS += -Dmain=poe_main \
  -Wno-missing-prototypes
$(OBJ)/spec/fuzz/%.o $(OBJ)/limited/%.o: ALL_CFLAGS += -fno-lto

# Every allocation of ours is the counter's: objects that no LTO has joined.
OOM := $(patsubst %.c,$(OBJ)/%.o,$(wildcard spec/oom/*.c)) \
  $(filter-out $(BUILD)/pic/embed/%,$(EMBED)) \
  $(patsubst src/host/%.c,$(OBJ)/oom/%.o,$(wildcard src/host/*.c)) $(OBJ)/cli.o
$(BUILD)/oom: $(OOM)
	$(call link,-fno-lto $(foreach f,malloc calloc realloc free \
	  host_open_state poe_kernel_new,-Wl$(comma)--wrap=$(f)),$(LUA_LIBS) $(UV_LIBS) -lm -ldl)

$(BUILD)/lib/libpoe.a: $(EMBED)
	@mkdir -p $(@D) && echo "  AR   $@" && rm -f $@ && ar rcs $@ $^

$(BUILD)/lib/libpoe.so: $(EMBED) src/embed/libpoe.map
	@mkdir -p $(@D) && echo "  LINK $@" && $(CC) $(ALL_LDFLAGS) -fno-lto \
	  -shared -Wl,-soname,$(SONAME) -Wl,--version-script=src/embed/libpoe.map \
	  -o $(@D)/libpoe.so.$(VERSION) $(EMBED) $(LUA_SHARED) $(UV_LIBS) -lm -ldl
	@ln -sf libpoe.so.$(VERSION) $(@D)/$(SONAME) && ln -sf $(SONAME) $@

$(BUILD)/lib/poe.pc: src/embed/poe.pc.in force
	@mkdir -p $(@D) && sed -e 's|@PREFIX@|$(PREFIX)|' \
	  -e 's|@LUADIR@|$(INST_LUADIR)|' -e 's|@INCDIR@|$(INST_INCDIR)|' \
	  -e 's|@CLIBDIR@|$(INST_CLIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	  -e 's|@LUA@|$(LUA_PC)|' $< >$@

$(BUILD)/pic/%.o: src/%.c $(BUILD)/flags
	$(call compile,-fno-lto -fvisibility=default -fno-semantic-interposition)

$(BUILD)/pic/embed/embed.o: $(BUILD)/luadir
$(BUILD)/pic/embed/embed.o: ALL_CFLAGS += -Isrc/binding \
  -DPOE_LUADIR='"$(INST_LUADIR)"'

$(OBJ)/%.o: src/%.c $(BUILD)/flags
	$(call compile)

$(OBJ)/spec/%.o: spec/%.c $(BUILD)/flags
	$(call compile,-Isrc/kernel)
$(OBJ)/spec/oom/%.o: ALL_CFLAGS += -fno-lto

# The host's main, called by another.
$(OBJ)/oom/%.o: src/host/%.c $(BUILD)/flags $(BUILD)/luadir
	$(call compile,-fno-lto -Dmain=poe_main -Wno-missing-prototypes \
	  -DPOE_LUADIR='"$(INST_LUADIR)"')

# llhttp's own source is not ours to warn about.
$(OBJ)/llhttp/%.o: $(LLHTTP_DIR)/%.c $(BUILD)/flags
	$(call compile,-w)

$(OBJ)/http/%.o $(OBJ)/llhttp/%.o: ALL_CFLAGS += $(LLHTTP_CFLAGS)
$(OBJ)/host/main.o $(OBJ)/limited/host/main.o: ALL_CFLAGS += $(if \
  $(HTTP_SO),-DPOE_HTTP)
$(OBJ)/glib/%.o: ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags $(GLIB_PC))

$(OBJ)/host/main.o $(OBJ)/limited/host/main.o: $(BUILD)/luadir
$(OBJ)/host/main.o $(OBJ)/limited/host/main.o: ALL_CFLAGS += \
  -DPOE_LUADIR='"$(INST_LUADIR)"'

# Files whose text is the settings: when it changes, what depends on them does.
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || { \
	  sh .ci/deps --headers $(CC) $(LUA_CFLAGS) $(UV_CFLAGS) && \
	  echo '$(FLAGS)' >$@; }

$(BUILD)/luadir: force
	@mkdir -p $(@D)
	@echo '$(INST_LUADIR)' | cmp -s - $@ || echo '$(INST_LUADIR)' >$@

force:

deps:  ## install what is missing (apt-get, or says what)
	@sh .ci/deps build test

demo:  ## from nothing to three programs that run
	@sh .ci/deps build
	@$(MAKE) --no-print-directory run-demo

run-demo: host
	@sh .ci/demo $(BUILD)/bin/poe

test:  ## every test; closes with a line of what passed and failed
	@sh .ci/deps build test
	@$(MAKE) --no-print-directory run-tests

run-tests: host unit oom $(FUZZ:%=$(BUILD)/replay-%) $(if $(SAN),,module)
	$(if $(SAN),@$(MAKE) --no-print-directory SAN= module)
	@sh .ci/test $(BUILD) unit host oracle fuzz-oracle replay oom \
	  $(if $(SAN),,module budget check)

test-san:  ## the same under address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory SAN=address,undefined test

# A child of a fork starts the thread of --slow anew.
test-threads: module  ## what runs in threads, under the thread sanitizer
	@$(MAKE) --no-print-directory SAN=thread BUILD=build/tsan host unit
	@TSAN_OPTIONS=die_after_fork=0 sh .ci/test build/tsan unit threads

# Without slabs: memcheck knows blocks of malloc.
valgrind:  ## memcheck: C tests, examples, specs of kernel and poe.sys
	@$(MAKE) --no-print-directory BUILD=build/valgrind \
	  OPT='-O1 -g -DPOE_NO_SLABS' host unit
	@TEST_TIMEOUT=7200 sh .ci/test build/valgrind memcheck-unit \
	  memcheck-examples memcheck-specs

test-gc: host module  ## the specs with the collector at its keenest
	@sh .ci/test $(BUILD) busy-gc keen-gc

spec: host module  ## the busted specs alone, in the host
	@sh .ci/test $(BUILD) host

oracle: host  ## scenarios compared with traces of real POE
	@sh .ci/test $(BUILD) oracle

fuzz-oracle: host  ## random scenarios on real POE and here; SEED= COUNT=
	@SEED=$(SEED) COUNT=$(COUNT) sh .ci/test $(BUILD) fuzz-oracle

FUZZ_SECONDS ?= 300
fuzz:  ## libFuzzer on kernel, HTTP, poe.sys, host; FUZZ_SECONDS= each
	@sh .ci/deps build fuzz
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang WARN= OPT='-O1 -g' \
	  SAN=fuzzer-no-link,address,undefined $(FUZZ:%=build/fuzz/fuzz-%)
	@sh .ci/fuzz build/fuzz $(FUZZ_SECONDS) $(FUZZ)

fuzz-oom: oom module  ## every allocation of every program in spec/oom fails
	@TEST_TIMEOUT=7200 POINTS=0 sh .ci/test $(BUILD) oom

fuzz-filters:  ## bytes of all kinds to the filters; SIZE=seconds each
	@$(MAKE) --no-print-directory SAN=address,undefined host
	@build/san/bin/poe spec/fuzz/run.lua $(SIZE)

analyze:  ## gcc -fanalyzer, clang-tidy, cppcheck and luacheck find nothing
	@sh .ci/deps build analyze
	@sh .ci/analyze

check:  ## style, include rules, manual page
	@sh .ci/check

flake: host module  ## the specs in random order, COUNT=100 times
	@sh .ci/flake $(BUILD) $(or $(COUNT),100)

storms: host  ## children, signals and forks by the thousand
times: host  ## clocks that are stepped, stops, a million timers
faults: host  ## each system call fails, one at a time
churn: host  ## ten million sessions, memory where it was
soak: host  ## everything at once for ten minutes; SIZE=seconds
storms times faults churn soak:
	@POE_BIN=$(BUILD)/bin/poe $(BUILD)/bin/poe spec/strain/long.lua $@ $(SIZE)

bench: host  ## speed beside POE and others; BENCHFLAGS=--quick
	@$(LUA) bench/run.lua $(BENCHFLAGS)

bench-peers:  ## installs what bench measures beside us
	@sh .ci/deps build peers

bench-budget: host  ## instructions of hot operations against bench/budget.json
	@$(LUA) bench/budget.lua $(BENCHFLAGS)

cov: module  ## lines and branches of C that the tests reach
	@mkdir -p build/cov && $(CC) -O1 -c -o build/cov/exit.o .ci/gcov_exit.c
	@$(MAKE) --no-print-directory BUILD=build/cov CFLAGS='-O0 -g --coverage' \
	  LDFLAGS='--coverage -Wl,--wrap=_exit,--wrap=raise build/cov/exit.o' \
	  host unit
	@find build/cov -name '*.gcda' -delete
	-@TEST_TIMEOUT=3600 sh .ci/test build/cov $(or $(COVERED),unit host oracle)
	@sh .ci/coverage build/cov/obj

# All but what the host has in it.
LUA_FILES := $(shell cd lua && find poe -name '*.lua' ! -path poe/cli.lua)
INSTALLED := $(addprefix $(DESTDIR),$(INST_BINDIR)/poe \
  $(INST_MANDIR)/man1/poe.1 $(INST_LIBDIR)/poe/core.so \
  $(INST_LIBDIR)/poe/sys.so $(LUA_FILES:%=$(INST_LUADIR)/%) \
  $(GLIB_SO:%=$(INST_LIBDIR)/%) $(HTTP_SO:%=$(INST_LIBDIR)/%) \
  $(if $(INST_LIB),$(INST_INCDIR)/poe.h $(INST_INCDIR)/poe_embed.h \
  $(INST_CLIBDIR)/pkgconfig/poe.pc $(addprefix $(INST_CLIBDIR)/,libpoe.a \
  libpoe.so $(SONAME) libpoe.so.$(VERSION))))

install: host module $(INST_LIB)  ## into PREFIX (/usr/local), below DESTDIR
	install -D $(BUILD)/bin/poe '$(DESTDIR)$(INST_BINDIR)/poe'
	install -D -t '$(DESTDIR)$(INST_LIBDIR)/poe' $(BUILD)/lib/poe/*.so
	$(if $(GLIB_SO),install -D -t '$(DESTDIR)$(INST_LIBDIR)/poe/loop' \
	  $(BUILD)/lib/$(GLIB_SO))
	install -D -m 644 doc/poe.1 '$(DESTDIR)$(INST_MANDIR)/man1/poe.1'
	@for f in $(LUA_FILES); do set -x; install -D -m 644 \
	  "lua/$$f" "$(DESTDIR)$(INST_LUADIR)/$$f" || exit; done

install-lib: lib
	install -D -m 644 -t '$(DESTDIR)$(INST_INCDIR)' src/poe.h src/poe_embed.h
	install -D -m 644 -t '$(DESTDIR)$(INST_CLIBDIR)' $(BUILD)/lib/libpoe.a
	install -D -t '$(DESTDIR)$(INST_CLIBDIR)' $(BUILD)/lib/libpoe.so.$(VERSION)
	cp -d $(BUILD)/lib/libpoe.so $(BUILD)/lib/$(SONAME) \
	  '$(DESTDIR)$(INST_CLIBDIR)'
	install -D -m 644 -t '$(DESTDIR)$(INST_CLIBDIR)/pkgconfig' \
	  $(BUILD)/lib/poe.pc

uninstall:  ## removes what install put there
	rm -f $(INSTALLED:%='%')
	@find '$(DESTDIR)$(INST_LUADIR)/poe' '$(DESTDIR)$(INST_LIBDIR)/poe' \
	  -depth -type d -empty -delete 2>/dev/null || true

clean:  ## removes build
	rm -rf build

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1	/p' $(firstword $(MAKEFILE_LIST)) | \
	  expand -t 14

-include $(shell find $(OBJ) $(BUILD)/pic -name '*.d' 2>/dev/null)
