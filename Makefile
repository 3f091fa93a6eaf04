# poe: host, Lua module, tests.  `make help` lists the targets.
# Every variable can be set on the command line.

CC ?= gcc
LUA ?= lua5.4
PREFIX ?= /usr/local
INST_BINDIR ?= $(PREFIX)/bin
INST_LUADIR ?= $(PREFIX)/share/lua/5.4
INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4
INST_MANDIR ?= $(PREFIX)/share/man
PKG_CONFIG ?= pkg-config
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
BUILD := build$(if $(SAN),/san)
OBJ := $(BUILD)/obj
OPT ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -Wconversion -Wwrite-strings $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong
CFLAGS ?= $(OPT)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) \
  $(HARDEN) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) \
  -fno-sanitize-recover=all -fno-omit-frame-pointer) \
  -Isrc $(LUA_CFLAGS) $(UV_CFLAGS) -DPOE_LUADIR='"$(INST_LUADIR)"'
LIBFLAG ?= -shared
ALL_LDFLAGS := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))

objects = $(patsubst src/%.c,$(OBJ)/%.o,$(wildcard src/$(1)/*.c))
KERNEL := $(call objects,kernel)
BINDING := $(call objects,binding)
SYS := $(call objects,sys)
HOST := $(call objects,host)

.PHONY: all module host clean
all: host module

host: $(BUILD)/bin/poe
module: $(BUILD)/lib/poe/core.so $(BUILD)/lib/poe/sys.so

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

$(OBJ)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
