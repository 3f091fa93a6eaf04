/* SPDX-License-Identifier: MIT */
/*
 * memory.h -- one counter over the allocations of Lua, the kernel, libuv and
 * whatever else of ours calls malloc; the n-th of them fails.
 *
 * The kernel's are caught where it is made (--wrap=poe_kernel_new), libuv's by
 * uv_replace_allocator, those of binding, poe.sys and host by --wrap=malloc.
 */
#ifndef OOM_MEMORY_H
#define OOM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum memory_mode {
  MEMORY_ONCE, /* the n-th, and Lua's second try after a collection */
  MEMORY_EVER, /* the n-th and all after it */
  MEMORY_SOFT  /* Lua's second try succeeds: an emergency collection there */
};

/* Before libuv is used. */
void memory_init(void);
/* Fail the n-th allocation from now on; 0: none. */
void memory_arm(int64_t n, enum memory_mode mode);
/* From now on nothing fails, nor is counted. */
void memory_pause(void);
/* Allocations asked for since memory_arm. */
int64_t memory_calls(void);
/* Has anything been refused? */
int memory_has_failed(void);
/* Blocks that are out: of Lua and the kernel, of libuv, of all of malloc. */
struct memory_use {
  int64_t lua, uv, bytes;
};
struct memory_use memory_in_use(void);
/* lua_Alloc; the host makes its state with it, too. */
void *memory_lua(void *ud, void *p, size_t osize, size_t nsize);

#endif
