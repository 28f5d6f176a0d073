#include "seen.h"

#include <cstdlib>

namespace pagerun {

void* (*const kSeenMalloc)(size_t) = malloc;
void* (*const kSeenNew)(size_t) = operator new;
void* (*const kSeenNewArray)(size_t) = operator new[];
void* (*const kSeenNewAligned)(size_t, std::align_val_t) = operator new;
void* (*const kSeenNewArrayAligned)(size_t, std::align_val_t) = operator new[];
void (*const kSeenDelete)(void*) = operator delete;
void (*const kSeenDeleteArray)(void*) = operator delete[];
void (*const kSeenDeleteAligned)(void*, std::align_val_t) = operator delete;
void (*const kSeenDeleteArrayAligned)(void*, std::align_val_t) = operator delete[];

}  // namespace pagerun
