// Facts of the platform that every layer may use. Knows nothing of memory management.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun {

constexpr size_t kCacheLineBytes = 64;
constexpr size_t kOsPageBytes = 4096;  // the kernel's unit; ours is the page of core/page.h
constexpr size_t kMaxAlignBytes = 16;  // what malloc promises: alignof(max_align_t)

static_assert(sizeof(void*) == 8, "pagerun needs 64-bit addresses");

}  // namespace pagerun
