/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FUZZ_H
#define KERNEL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One program; libFuzzer's name for it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
