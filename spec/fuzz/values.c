/* SPDX-License-Identifier: MIT */
#include "values.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

enum { ARGS = 6, DEPTH = 3 };

int luaopen_poe_sys(lua_State *L);

static const char *const words[] = {
    /* modes, flags, ways */
    "r", "w", "rw", "r+", "w+", "a+", "a,excl", "w,trunc,append", "r,directory",
    "w,creat,nofollow,sync", "set", "cur", "end", "oob", "peek", "more",
    "dontroute", "any",
    /* kinds and names of the system's */
    "stream", "dgram", "seqpacket", "inet", "inet6", "nofile", "stack", "TERM",
    "SIGKILL", "SO_LINGER", "root", "nobody",
    /* hosts, services, files, programs */
    "127.0.0.1", "::1", "localhost", "fe80::1%lo", "0.0.0.0", "http", "80",
    "65536", "one", "two", "three", "/dev/null", "/dev/zero", "/dev/full",
    "true", "/", "", "A=B"};

static const char *const hosts[] = {"127.0.0.1", "::1",        "localhost",
                                    "127.0.0.2", "fe80::1%lo", "0.0.0.0",
                                    "10.0.0.1",  "name"};
static const char *const files[] = {"one", "two", "three", "/dev/null", "/"};
static const char *const types[] = {"stream", "dgram", "seqpacket", "raw"};
static const char *const options[] = {
    "SO_LINGER",   "SO_RCVBUF", "SO_ERROR", "SO_REUSEADDR", "TCP_NODELAY",
    "IPV6_V6ONLY", "IP_TTL",    "SO_TYPE",  "SO_ACCEPTCONN"};
static const char *const users[] = {"root", "nobody", "nogroup", "x"};

/* What is fitting: letters of push_fitting. */
static const struct {
  const char *name, *args;
} functions[] = {{"tcp.listen", "T"},
                 {"tcp.connect", "T"},
                 {"udp.bind", "T"},
                 {"udp.connect", "T"},
                 {"unix.listen", "U"},
                 {"unix.bind", "U"},
                 {"unix.connect", "U"},
                 {"sys.resolve", "R"},
                 {"sys.spawn", "P"},
                 {"sys.become", "P"},
                 {"sys.exec", "pm"},
                 {"sys.open", "fw"},
                 {"sys.stat", "f"},
                 {"sys.dup", "h"},
                 {"sys.dup2", "hi"},
                 {"sys.kill", "iw"},
                 {"sys.socketpair", "t"},
                 {"sys.tty_open", "h"},
                 {"sys.tty_edit", "hbw"},
                 {"sys.tty_pause", "h"},
                 {"sys.tty_restore", "h"},
                 {"sys.tty_wait", "hi"},
                 {"sys.set_raw", "h"},
                 {"sys.get_winsize", "h"},
                 {"sys.set_winsize", "hii"},
                 {".setsockopt", "hob"},
                 {".getsockopt", "ho"},
                 {".seek", "hwi"},
                 {".sendto", "hwai"},
                 {".write", "hw"},
                 {".read", "hi"},
                 {".recv", "hiw"},
                 {".recvfrom", "hi"},
                 {".send", "hww"},
                 {".shutdown", "hw"},
                 {"fd.", "h"},
                 {"socket.", "h"}};

/* Options, who has them (T: tcp and udp, U: unix, R: resolve, P: new
   processes), and what they are. */
static const struct {
  const char *key, *functions;
  char kind;
} keys[] = {
    {"host", "TR", 'a'},      {"port", "T", 'i'},      {"backlog", "TU", 'i'},
    {"reuse", "TU", 'b'},     {"v6only", "T", 'b'},    {"bind_host", "T", 'a'},
    {"bind_port", "T", 'i'},  {"path", "U", 'f'},      {"type", "UR", 't'},
    {"service", "R", 'w'},    {"family", "R", 'w'},    {"program", "P", 'p'},
    {"env", "P", 'm'},        {"clear_env", "P", 'b'}, {"cwd", "P", 'f'},
    {"stdin", "P", 'h'},      {"stdout", "P", 'h'},    {"stderr", "P", 'h'},
    {"setsid", "P", 'b'},     {"setpgid", "P", 'b'},   {"terminal", "P", 'b'},
    {"user", "P", 'u'},       {"group", "P", 'u'},     {"nice", "P", 'i'},
    {"close_from", "P", 'i'}, {"nothing", "TURP", 'w'}};

static const lua_Integer integers[] = {-1,
                                       255,
                                       256,
                                       4096,
                                       65535,
                                       65536,
                                       INT32_MAX,
                                       (lua_Integer)INT32_MAX + 1,
                                       UINT32_MAX,
                                       (lua_Integer)UINT32_MAX + 1,
                                       INT32_MIN,
                                       LUA_MAXINTEGER,
                                       LUA_MININTEGER,
                                       100,
                                       1 << 20,
                                       07777};

static const double floats[] = {0.5, -0.0, 1e300, -1e300, 3.0, 1e-300};

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define PICK(list) (list)[values_next() % COUNT(list)]

static struct { const uint8_t *at, *end; } input;

void values_begin(const uint8_t *bytes, size_t n) {
  input.at = bytes;
  input.end = bytes + n;
}

int values_are_left(void) { return input.at < input.end; }

unsigned values_next(void) { return values_are_left() ? *input.at++ : 0; }

/* ---- one value ----------------------------------------------------------- */

static void push_value(lua_State *L, int depth);

static void push_bytes(lua_State *L, size_t n) {
  size_t left = (size_t)(input.end - input.at);
  lua_pushlstring(L, (const char *)input.at, n < left ? n : left);
  input.at += n < left ? n : left;
}

static void push_long(lua_State *L) {
  luaL_Buffer b;
  size_t n = (size_t)1 << values_next() % 18;
  memset(luaL_buffinitsize(L, &b, n), (int)values_next(), n);
  luaL_pushresultsize(&b, n);
}

static void push_list(lua_State *L, int depth) {
  lua_newtable(L);
  unsigned n = values_next() % 4;
  for (unsigned i = 1; i <= n; i++) {
    push_value(L, depth + 1);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
}

/* Names and values of an environment, or what is none. */
static void push_map(lua_State *L, int depth) {
  lua_newtable(L);
  for (unsigned n = values_next() % 4; n > 0; n--) {
    push_value(L, depth + 1);
    if (lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TNUMBER &&
                             lua_tonumber(L, -1) != lua_tonumber(L, -1)))
      lua_pop(L, 1), lua_pushliteral(L, "NAME");
    push_value(L, depth + 1);
    lua_rawset(L, -3);
  }
}

static void push_program(lua_State *L, int depth) {
  if (values_next() & 1) {
    lua_pushliteral(L, "true");
  } else {
    push_list(L, depth);
    lua_pushliteral(L, "true");
    lua_rawseti(L, -2, 1);
  }
}

static void push_options(lua_State *L, char function, int depth);

/* What an argument or an option of that kind wants. */
static void push_fitting(lua_State *L, char kind, int depth) {
  switch (kind) {
    case 'a': lua_pushstring(L, PICK(hosts)); break;
    case 'b': lua_pushboolean(L, values_next() & 1); break;
    case 'f': lua_pushstring(L, PICK(files)); break;
    case 'h':
      lua_rawgeti(L, VALUES_HANDLES, values_next() % VALUES_SLOTS);
      break;
    case 'i': lua_pushinteger(L, (lua_Integer)values_next() % 32); break;
    case 'm': push_map(L, depth); break;
    case 'p': push_program(L, depth); break;
    case 'o': lua_pushstring(L, PICK(options)); break;
    case 't': lua_pushstring(L, PICK(types)); break;
    case 'u': lua_pushstring(L, PICK(users)); break;
    case 'w': lua_pushstring(L, PICK(words)); break;
    default: push_options(L, kind, depth); break;
  }
}

static void push_mostly(lua_State *L, char kind, int depth) {
  if (values_next() % 8 > 0)
    push_fitting(L, kind, depth);
  else
    push_value(L, depth);
}

/* For the functions of a letter; 0: whatever comes. */
static void push_options(lua_State *L, char function, int depth) {
  lua_newtable(L);
  for (unsigned n = values_next() % 6; n > 0; n--) {
    unsigned i = values_next() % COUNT(keys);
    while (function && !strchr(keys[i].functions, function))
      i = (i + 1) % COUNT(keys);
    push_mostly(L, keys[i].kind, depth + 1);
    lua_setfield(L, -2, keys[i].key);
  }
}

static void push_strange(lua_State *L) {
  switch (values_next() % 6) {
    case 0: lua_pushcfunction(L, luaopen_poe_sys); break;
    case 1: lua_pushthread(L); break;
    case 2: lua_pushlightuserdata(L, &input); break;
    case 3: lua_pushvalue(L, VALUES_FILE); break;
    case 4: lua_newuserdatauv(L, 16, 0); break;
    default: luaL_getmetatable(L, "poe.sys.fd"); break;
  }
}

static void push_value(lua_State *L, int depth) {
  luaL_checkstack(L, 10, NULL);
  unsigned kind = values_next() % 20;
  if (depth > DEPTH && kind > 16) kind = 0;
  switch (kind) {
    case 0: lua_pushnil(L); break;
    case 1: lua_pushboolean(L, values_next() & 1); break;
    case 2:
    case 3: lua_pushinteger(L, (lua_Integer)values_next() % 32); break;
    case 4: lua_pushinteger(L, PICK(integers)); break;
    case 5: lua_pushnumber(L, PICK(floats)); break;
    case 6:
      lua_pushnumber(L, values_next() & 1 ? (double)NAN : (double)INFINITY);
      break;
    case 7: push_bytes(L, values_next() % 40); break;
    case 8: push_long(L); break;
    case 9:
    case 10:
    case 11: lua_pushstring(L, PICK(words)); break;
    case 12:
    case 13:
    case 14:
      lua_rawgeti(L, VALUES_HANDLES, values_next() % VALUES_SLOTS);
      break;
    case 15: push_strange(L); break;
    case 16: lua_pushinteger(L, (lua_Integer)values_next()); break;
    case 17: push_list(L, depth); break;
    case 18: push_options(L, 0, depth); break;
    default: push_map(L, depth); break;
  }
}

/* ---- arguments ----------------------------------------------------------- */

static int starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

/* What is fitting for a function, or "". */
static const char *args_of(const char *name) {
  const char *method = strchr(name, '.');
  for (size_t i = 0; i < COUNT(functions); i++) {
    const char *known = functions[i].name;
    if (strcmp(known, name) == 0 || strcmp(known, method) == 0 ||
        (known[strlen(known) - 1] == '.' && starts_with(name, known)))
      return functions[i].args;
  }
  return "";
}

int values_takes_options(const char *name) {
  return strchr("TURP", args_of(name)[0]) != NULL && args_of(name)[0] != '\0';
}

int values_push_args(lua_State *L, const char *name) {
  int n = 0;
  for (const char *kind = args_of(name); *kind; kind++, n++) {
    if (values_next() % 8 == 0) break;
    push_mostly(L, *kind, 0);
  }
  for (int more = (int)(values_next() % ARGS) - n; more > 0; more--, n++)
    push_value(L, 0);
  return n;
}

/* "(key: ..." or "(unknown option ...": which of the options it is. */
int values_names_option(const char *message) {
  const char *text = strchr(message, '(');
  if (text == NULL) return 0;
  if (starts_with(text, "(unknown option '")) return 1;
  for (size_t i = 0; i < COUNT(keys); i++) {
    size_t n = strlen(keys[i].key);
    if (strncmp(text + 1, keys[i].key, n) == 0 && text[1 + n] == ':') return 1;
  }
  return 0;
}
