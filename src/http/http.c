/* SPDX-License-Identifier: MIT */
/*
 * http.c -- module poe.http: llhttp, which finds where the parts of HTTP
 * requests end.
 *
 * A parser takes bytes and stops at three places of each request: where its
 * head ends, where it ends itself, and where it goes wrong.  What it says
 * depends on the bytes alone, not on how they were cut; so every limit is one
 * on bytes of a kind, and llhttp is never shown more of them than are left.
 *
 * llhttp takes some things that one server reads in one way and another in
 * another (a LF without a CR, a header on several lines); see is_ambiguous.
 *
 * Ownership: the two texts are userdata, and user values of the parser's.  They
 * have room for all that can come before llhttp is called: nothing below it
 * calls Lua, so none of its frames is jumped over.
 */
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <llhttp.h>
#include <lua.h>

#define HTTP_EXPORT __attribute__((visibility("default")))

#define PARSER "poe.http.parser"

/* What frames a chunk takes no room of what is else bounded like a head. */
#define CHUNK_ROOM 8
/* Method and version, beside the URI on the first line. */
#define LINE_ROOM 32
/* Most that is kept for the head of the next request. */
#define IDLE_ROOM 4096
/* Most that llhttp is shown at a time: it bounds the room that is made before. */
#define HEAD_STEP 1024
#define BODY_STEP 65536

struct text {
  char *bytes; /* in the user value of the same number */
  size_t size, room;
};

enum { HEAD_TEXT = 1, BODY_TEXT };

enum phase { HEAD, BODY, TRAILER, END, BROKEN };

struct parser {
  llhttp_t http;
  enum phase phase;
  struct text head; /* URI, names and values, each with a zero byte after it;
                       later the names and values of trailers */
  struct text body;
  size_t max_head, max_uri, max_body;
  size_t framed;  /* bytes of the head, or of what is around the body */
  size_t framing; /* how many there may be */
  int has_uri;
  int is_torn; /* feed raises, or raised: its bytes are half used */
  char last;   /* byte of a head or of trailers */
  int status;  /* what a server answers to the broken request */
  const char *why;
};

/* ---- texts ---------------------------------------------------------------- */

/* [parser, ...] Makes room for n bytes more. */
static void reserve(lua_State *L, struct text *t, int index, size_t n) {
  size_t room = t->room < 256 ? 256 : t->room;
  while (room - t->size < n) room *= 2;
  if (room <= t->room) return;
  char *bytes = lua_newuserdatauv(L, room, 0);
  if (t->size > 0) memcpy(bytes, t->bytes, t->size);
  t->bytes = bytes;
  t->room = room;
  lua_setiuservalue(L, 1, index);
}

static void append(struct text *t, const char *bytes, size_t n) {
  if (n > 0) memcpy(t->bytes + t->size, bytes, n);
  t->size += n;
}

/* [parser, ...] */
static void clear(lua_State *L, struct text *t, int index) {
  *t = (struct text){0};
  lua_pushnil(L);
  lua_setiuservalue(L, 1, index);
}

/* ---- what llhttp tells ---------------------------------------------------- */

static struct parser *parser_of(llhttp_t *http) { return http->data; }

static int on_head(llhttp_t *http, const char *at, size_t n) {
  append(&parser_of(http)->head, at, n);
  return HPE_OK;
}

static int on_head_part(llhttp_t *http) {
  append(&parser_of(http)->head, "", 1);
  return HPE_OK;
}

static int on_uri_end(llhttp_t *http) {
  parser_of(http)->has_uri = 1;
  return on_head_part(http);
}

/* llhttp would leave what follows to another protocol; here that is for those
   to say who get the request. */
static int on_headers_end(llhttp_t *http) {
  http->upgrade = 0;
  parser_of(http)->phase = BODY;
  return HPE_PAUSED;
}

static int on_body(llhttp_t *http, const char *at, size_t n) {
  append(&parser_of(http)->body, at, n);
  return HPE_OK;
}

static int fail(struct parser *p, int status, const char *why) {
  p->phase = BROKEN;
  p->status = status;
  p->why = why;
  return HPE_USER;
}

static int on_chunk(llhttp_t *http) {
  struct parser *p = parser_of(http);
  if (http->content_length > p->max_body - p->body.size)
    return fail(p, 413, "body is too long");
  p->framing += CHUNK_ROOM;
  if (http->content_length > 0) return HPE_OK;
  p->phase = TRAILER;
  p->last = '\n';
  return HPE_PAUSED;
}

static int on_end(llhttp_t *http) {
  parser_of(http)->phase = END;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_head,
    .on_url_complete = on_uri_end,
    .on_header_field = on_head,
    .on_header_field_complete = on_head_part,
    .on_header_value = on_head,
    .on_header_value_complete = on_head_part,
    .on_headers_complete = on_headers_end,
    .on_chunk_header = on_chunk,
    .on_body = on_body,
    .on_message_complete = on_end,
};

/* ---- parsing -------------------------------------------------------------- */

static void begin(lua_State *L, struct parser *p) {
  p->phase = HEAD;
  p->head.size = 0;
  if (p->head.room > IDLE_ROOM) clear(L, &p->head, HEAD_TEXT);
  if (p->body.room > 0) clear(L, &p->body, BODY_TEXT);
  p->framed = 0;
  p->framing = p->max_head;
  p->has_uri = 0;
  p->last = '\n';
}

/* How many bytes llhttp may be shown; 0: a limit is reached. */
static size_t room(const struct parser *p) {
  size_t most = p->framing, line = p->max_uri + LINE_ROOM;
  if (p->phase == HEAD && !p->has_uri && line < most) most = line;
  return most - p->framed;
}

static void fail_full(struct parser *p) {
  if (p->phase == HEAD && !p->has_uri && p->framed < p->framing)
    fail(p, 414, "URI is too long");
  else
    fail(p, 431, "headers are too long");
}

/* A line that a CR and a LF do not end, or that goes on on the next. */
static int is_ambiguous(struct parser *p, const char *at, size_t n) {
  char last = p->last;
  for (size_t i = 0; i < n; last = at[i++]) {
    if (at[i] == '\n' ? last != '\r' : last == '\r') return 1;
    if (last == '\n' && (at[i] == ' ' || at[i] == '\t')) return 1;
  }
  p->last = last;
  return 0;
}

/* How many of n bytes llhttp is shown; makes room for what it tells of them. */
static size_t prepare(lua_State *L, struct parser *p, size_t n) {
  size_t most = room(p);
  if (n > most) n = most;
  if (p->phase == BODY) {
    if (n > BODY_STEP) n = BODY_STEP;
    reserve(L, &p->body, BODY_TEXT, n);
  } else {
    if (n > HEAD_STEP) n = HEAD_STEP;
    reserve(L, &p->head, HEAD_TEXT, 2 * n + 4); /* zero bytes between */
  }
  return n;
}

/* Shows llhttp up to n bytes; returns how many it took. */
static size_t execute(lua_State *L, struct parser *p, const char *at,
                      size_t n) {
  enum phase before = p->phase;
  size_t body = p->body.size;
  n = prepare(L, p, n);
  llhttp_errno_t err = llhttp_execute(&p->http, at, n);
  if (err != HPE_OK) n = (size_t)(llhttp_get_error_pos(&p->http) - at);
  if (err == HPE_PAUSED)
    llhttp_resume(&p->http);
  else if (err != HPE_OK && p->phase != BROKEN)
    fail(p, 400, llhttp_get_error_reason(&p->http));
  if (before != BODY && is_ambiguous(p, at, n))
    fail(p, 400, "line does not end with CR LF");
  p->framed += n - (p->body.size - body);
  return n;
}

/* Until the phase is another; returns how many bytes that took. */
static size_t parse(lua_State *L, struct parser *p, const char *at, size_t n) {
  enum phase before = p->phase;
  size_t used = 0;
  do {
    if (room(p) > 0 || n == used)
      used += execute(L, p, at + used, n - used);
    else
      fail_full(p);
  } while (p->phase == before && used < n);
  return used;
}

/* ---- results -------------------------------------------------------------- */

/* Pushes the next part of the head; returns where the one after it begins. */
static const char *push_part(lua_State *L, const char *at) {
  size_t n = strlen(at);
  lua_pushlstring(L, at, n);
  return at + n + 1;
}

/* Pushes { name, value, name, value... }. */
static void push_headers(lua_State *L, const char *at, const char *end) {
  lua_newtable(L);
  for (lua_Integer i = 1; at < end; i++) {
    at = push_part(L, at);
    lua_rawseti(L, -2, i);
  }
}

/* -> position, "head", method, URI, version, headers, whether to be kept */
static int push_head(lua_State *L, struct parser *p) {
  const char *end = p->head.bytes + p->head.size;
  lua_pushliteral(L, "head");
  lua_pushstring(L, llhttp_method_name(llhttp_get_method(&p->http)));
  const char *at = push_part(L, p->head.bytes);
  lua_pushfstring(L, "%d.%d", p->http.http_major, p->http.http_minor);
  push_headers(L, at, end);
  lua_pushboolean(L, llhttp_should_keep_alive(&p->http));
  p->head.size = 0;
  p->framed = 0; /* what frames the body has a limit of its own */
  return 7;
}

/* -> position, "end", body, trailers */
static int push_end(lua_State *L, struct parser *p) {
  lua_pushliteral(L, "end");
  lua_pushlstring(L, p->body.bytes ? p->body.bytes : "", p->body.size);
  push_headers(L, p->head.bytes, p->head.bytes + p->head.size);
  begin(L, p);
  return 4;
}

/* -> position, "broken", status, why */
static int push_broken(lua_State *L, struct parser *p) {
  lua_pushliteral(L, "broken");
  lua_pushinteger(L, p->status);
  lua_pushstring(L, p->why);
  return 4;
}

static int push_result(lua_State *L, struct parser *p, enum phase before) {
  switch (p->phase) {
    case END: return push_end(L, p);
    case BROKEN: return push_broken(L, p);
    case BODY:
      if (before == HEAD) return push_head(L, p);
      /* fall through */
    default: return 1;
  }
}

static struct parser *check_parser(lua_State *L) {
  return luaL_checkudata(L, 1, PARSER);
}

/* parser:feed(bytes, position) -> the next position, what is there; see
   types/poe.lua */
static int parser_feed(lua_State *L) {
  struct parser *p = check_parser(L);
  size_t size, used = 0;
  const char *bytes = luaL_checklstring(L, 2, &size);
  lua_Integer first = luaL_checkinteger(L, 3);
  luaL_argcheck(L, first > 0 && (lua_Unsigned)first <= size + 1, 3,
                "position out of bounds");
  const char *at = bytes + first - 1;
  size_t n = size - (size_t)first + 1;
  if (p->is_torn) fail(p, 500, "not enough memory");
  p->is_torn = 1;
  enum phase before = p->phase;
  if (before != BROKEN) used = parse(L, p, at, n);
  if (before == BODY && p->phase == TRAILER)
    used += parse(L, p, at + used, n - used);
  lua_pushinteger(L, first + (lua_Integer)used);
  int count = push_result(L, p, before);
  p->is_torn = 0;
  return count;
}

/* parser:body() -> what there is of the body, and was not told before */
static int parser_body(lua_State *L) {
  struct parser *p = check_parser(L);
  lua_pushlstring(L, p->body.bytes ? p->body.bytes : "", p->body.size);
  p->body.size = 0;
  return 1;
}

static size_t check_limit(lua_State *L, int arg, lua_Integer most) {
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n > 0 && n <= most, arg, "out of range");
  return (size_t)n;
}

/* parser(max_head, max_uri, max_body) -> parser of requests */
static int http_parser(lua_State *L) {
  size_t max_head = check_limit(L, 1, INT32_MAX);
  size_t max_uri = check_limit(L, 2, INT32_MAX);
  size_t max_body = check_limit(L, 3, LUA_MAXINTEGER);
  lua_settop(L, 0);
  struct parser *p = lua_newuserdatauv(L, sizeof *p, BODY_TEXT);
  *p = (struct parser){
      .max_head = max_head, .max_uri = max_uri, .max_body = max_body};
  luaL_setmetatable(L, PARSER);
  llhttp_init(&p->http, HTTP_REQUEST, &settings);
  p->http.data = p;
  begin(L, p);
  return 1;
}

static const luaL_Reg functions[] = {
    {"parser", http_parser},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"feed", parser_feed},
    {"body", parser_body},
    {NULL, NULL},
};

HTTP_EXPORT int luaopen_poe_http(lua_State *L);

int luaopen_poe_http(lua_State *L) {
  luaL_newmetatable(L, PARSER);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
