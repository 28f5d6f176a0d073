// Facts of the platform that every layer may use. Knows nothing of memory management.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun {

constexpr size_t kCacheLineBytes = 64;
constexpr size_t kOsPageBytes = 4096;  // the kernel's unit; ours is the page of core/size_class.h
constexpr size_t kMaxAlignBytes = 16;  // what malloc promises: alignof(max_align_t)

// False in the build that only the bench makes, to say what the checks cost: every pointer and every header is believed
// there, and misuse breaks the heap. Nobody is to use it for anything else.
#ifdef PAGERUN_WITHOUT_CHECKS
constexpr bool kHasChecks = false;
#else
constexpr bool kHasChecks = true;
#endif

static_assert(sizeof(void*) == 8, "pagerun needs 64-bit addresses");

}  // namespace pagerun
