rockspec_format = "3.0"
package = "poe"
version = "scm-1"

source = {
  url = "git+file://.",
}

description = {
  summary = "POE::Kernel for Lua: sessions, events, timers, selects, signals",
  detailed = [[
    An event kernel in C11 with POE's model and POE's method names, as a
    module for Lua 5.4 and as an interpreter, poe. It waits by libuv, poll(2)
    or select(2).
  ]],
  license = "MIT",
  labels = { "async", "event", "poe", "sessions" },
}

supported_platforms = { "linux" }

dependencies = {
  "lua >= 5.4, < 5.5",
}

external_dependencies = {
  LIBUV = {
    header = "uv.h",
    library = "uv",
  },
}

build = {
  type = "make",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LUA_LIBDIR = "$(LUA_LIBDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
  },
  install_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LUA_LIBDIR = "$(LUA_LIBDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
    INST_BINDIR = "$(BINDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
    INST_MANDIR = "$(PREFIX)/man",
    INST_LIB = "",
  },
  copy_directories = { "doc", "examples", "types" },
}
