// The functions that a program may put its own in place of, as the program sees them: the loader's answer, written once
// when this library is loaded. Compared with a function's own address they tell whether it was replaced.
// Apart from their definitions, because a compiler that sees both takes them for the same. Thread rule: constants.
#pragma once

#include <cstddef>
#include <new>

namespace pagerun {

#pragma GCC visibility push(hidden)
extern void* (*const kSeenMalloc)(size_t);
extern void* (*const kSeenNew)(size_t);
extern void* (*const kSeenNewArray)(size_t);
extern void* (*const kSeenNewAligned)(size_t, std::align_val_t);
extern void* (*const kSeenNewArrayAligned)(size_t, std::align_val_t);
extern void (*const kSeenDelete)(void*);
extern void (*const kSeenDeleteArray)(void*);
extern void (*const kSeenDeleteAligned)(void*, std::align_val_t);
extern void (*const kSeenDeleteArrayAligned)(void*, std::align_val_t);
#pragma GCC visibility pop

}  // namespace pagerun
