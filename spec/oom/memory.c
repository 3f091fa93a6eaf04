/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <errno.h>
#include <lauxlib.h>
#include <malloc.h>
#include <uv.h>

#include "poe.h"

/* What the linker's --wrap calls the originals, and their replacements. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
int __real_poe_kernel_new(const struct poe_config *config, poe_kernel **out);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
int __wrap_poe_kernel_new(const struct poe_config *config, poe_kernel **out);
lua_State *__wrap_host_open_state(void);

static struct {
  int is_paused;
  int64_t calls, fail_at; /* 0: nothing fails */
  enum memory_mode mode;
  int has_failed;
  void *block; /* what Lua asked for when it was refused */
  size_t size;
  struct memory_use use;
} memory;

void memory_arm(int64_t n, enum memory_mode mode) {
  memory.is_paused = 0;
  memory.calls = 0;
  memory.fail_at = n;
  memory.mode = mode;
  memory.has_failed = 0;
  memory.size = 0;
}

void memory_pause(void) { memory.is_paused = 1; }
int64_t memory_calls(void) { return memory.calls; }
int memory_has_failed(void) { return memory.has_failed; }

struct memory_use memory_in_use(void) {
  struct memory_use use = memory.use;
#if !defined(__SANITIZE_ADDRESS__)
  use.bytes = (int64_t)mallinfo2().uordblks;
#endif
  return use;
}

static int is_refused(void) {
  if (memory.is_paused) return 0;
  int64_t n = ++memory.calls;
  if (!memory.fail_at || n < memory.fail_at) return 0;
  if (memory.mode != MEMORY_EVER && n > memory.fail_at) return 0;
  memory.has_failed = 1;
  errno = ENOMEM;
  return 1;
}

/* Lua collects when it is refused, and asks again. */
static int is_second_try(void *p, size_t size) {
  if (!memory.size || memory.block != p || memory.size != size) return 0;
  memory.size = 0;
  return 1;
}

void *memory_lua(void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  (void)osize;
  if (nsize == 0) {
    if (p) memory.use.lua--;
    __real_free(p);
    return NULL;
  }
  if (is_second_try(p, nsize)) return NULL;
  if (is_refused()) {
    if (memory.mode == MEMORY_ONCE) {
      memory.block = p;
      memory.size = nsize;
    }
    return NULL;
  }
  void *q = __real_realloc(p, nsize);
  if (q && !p) memory.use.lua++;
  return q;
}

/* The kernel's: as Lua's, without a second try. */
static void *for_kernel(void *ud, void *p, size_t osize, size_t nsize) {
  if (nsize > 0 && is_refused()) return NULL;
  int64_t calls = memory.calls, fail_at = memory.fail_at;
  memory.fail_at = 0;
  void *q = memory_lua(ud, p, osize, nsize);
  memory.fail_at = fail_at;
  memory.calls = calls;
  return q;
}

int __wrap_poe_kernel_new(const struct poe_config *config, poe_kernel **out) {
  struct poe_config own = *config;
  own.alloc = for_kernel;
  return __real_poe_kernel_new(&own, out);
}

/* The host's. */
lua_State *__wrap_host_open_state(void) {
  return lua_newstate(memory_lua, NULL);
}

void *__wrap_malloc(size_t size) {
  return is_refused() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size) {
  return is_refused() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t size) {
  return is_refused() ? NULL : __real_realloc(p, size);
}

void __wrap_free(void *p) { __real_free(p); }

static void *uv_malloc(size_t size) {
  void *p = is_refused() ? NULL : __real_malloc(size);
  if (p) memory.use.uv++;
  return p;
}
static void *uv_calloc(size_t n, size_t size) {
  void *p = is_refused() ? NULL : __real_calloc(n, size);
  if (p) memory.use.uv++;
  return p;
}
/* libuv 1.44 ends the process when its table of watchers cannot grow, and
   reallocates nothing else. */
static void *uv_realloc(void *p, size_t size) {
  void *q = __real_realloc(p, size);
  if (q && !p) memory.use.uv++;
  return q;
}
static void uv_free(void *p) {
  if (p) memory.use.uv--;
  __real_free(p);
}

void memory_init(void) {
  uv_replace_allocator(uv_malloc, uv_realloc, uv_calloc, uv_free);
}
