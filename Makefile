# poe: host, Lua module, tests.  `make help` lists the targets.
# Every variable can be set on the command line.

CC ?= gcc
LUA ?= lua5.4
BUSTED ?= busted
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
INST_BINDIR ?= $(PREFIX)/bin
INST_LUADIR ?= $(PREFIX)/share/lua/5.4
INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4
INST_MANDIR ?= $(PREFIX)/share/man
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

SAN ?=
BUILD ?= build$(if $(SAN),/san)
OBJ := $(BUILD)/obj
OPT ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -Wconversion -Wwrite-strings $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong
CFLAGS ?= $(OPT)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) \
  $(HARDEN) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) \
  -fno-sanitize-recover=all -fno-omit-frame-pointer) \
  -Isrc $(LUA_CFLAGS) $(UV_CFLAGS)
LIBFLAG ?= -shared
ALL_LDFLAGS := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBFLAG) $(LUA_LIBS) $(UV_LIBS)

objects = $(patsubst %.c,$(OBJ)/%.o,$(patsubst src/%,%,$(wildcard $(1)/*.c)))
KERNEL := $(call objects,src/kernel)
BINDING := $(call objects,src/binding)
SYS := $(call objects,src/sys)
HOST := $(call objects,src/host)
UNIT := $(call objects,spec/c)

# What `make test` runs, as "name: command"; each sums itself up.
TEST_ENV := env POE_BIN=$(BUILD)/bin/poe POE_HOST=$(BUILD)/bin/poe
IN_HOST := $(TEST_ENV) $(BUSTED) --lua=$(BUILD)/bin/poe -o plainTerminal
IN_LUA := env 'LUA_PATH=lua/?.lua;lua/?/init.lua;;' \
  'LUA_CPATH=build/lib/?.so;;' $(BUSTED) --lua=$(LUA) -o plainTerminal
NOT_SPECS := --exclude-pattern=oracle
# Specs that run programs need no second pass in another Lua.
NOT_MODULE := $(foreach s,host repl oracle examples install rock readme \
  summary types,--exclude-pattern='^$(s)')
NOT_SAN := $(foreach s,install rock,--exclude-pattern='^$(s)')
RUNNERS := "unit: $(BUILD)/unit" "host: $(IN_HOST) $(NOT_SPECS) spec" \
  "oracle: $(IN_HOST) spec/oracle" "module: $(IN_LUA) $(NOT_MODULE) spec" \
  "check: sh .ci/check"
SAN_RUNNERS := "unit: $(BUILD)/unit" \
  "host: $(IN_HOST) $(NOT_SPECS) $(NOT_SAN) spec" \
  "oracle: $(IN_HOST) spec/oracle"
KEEN_GC := LUA_INIT_5_4="collectgarbage('incremental') \
  collectgarbage('setpause', 0) collectgarbage('setstepmul', 1000)"
SAN_ENV := ASAN_OPTIONS=detect_leaks=1:$(ASAN_OPTIONS) \
  UBSAN_OPTIONS=print_stacktrace=1 \
  LSAN_OPTIONS=suppressions=spec/lsan.supp:print_suppressions=0

.PHONY: all host module unit deps demo test test-san test-gc run-demo \
  run-tests spec oracle check bench bench-budget cov install uninstall clean \
  help force
all: host module  ## the host and the Lua module

host: $(BUILD)/bin/poe  ## the executable, build/bin/poe
module: $(BUILD)/lib/poe/core.so $(BUILD)/lib/poe/sys.so  ## for plain Lua
unit: $(BUILD)/unit  ## C tests of the kernel, build/unit

$(BUILD)/bin/poe: $(HOST) $(BINDING) $(SYS) $(KERNEL)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(ALL_LDFLAGS) -Wl,-E -o $@ $^ $(LUA_LIBS) $(UV_LIBS) -lm -ldl

$(BUILD)/lib/poe/core.so: $(BINDING) $(KERNEL)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(ALL_LDFLAGS) $(LIBFLAG) -o $@ $^ $(UV_LIBS)

$(BUILD)/lib/poe/sys.so: $(SYS)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(ALL_LDFLAGS) $(LIBFLAG) -o $@ $^

$(BUILD)/unit: $(UNIT) $(KERNEL)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(UV_LIBS) -lm

$(OBJ)/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(OBJ)/spec/%.o: spec/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) -Isrc/kernel -MMD -MP -c -o $@ $<

$(OBJ)/host/main.o: $(BUILD)/luadir
$(OBJ)/host/main.o: ALL_CFLAGS += -DPOE_LUADIR='"$(INST_LUADIR)"'

# Their text changes, and so what depends on them, when a setting does.
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || sh .ci/deps --found $(CC) \
	  $(LUA_CFLAGS) $(UV_CFLAGS) && echo '$(FLAGS)' | cmp -s - $@ || \
	  echo '$(FLAGS)' >$@
