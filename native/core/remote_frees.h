// Between remote_frees.cc, which has the steps of a remote free and of the drain (arena.h), and arena.cc, which has the
// states of pages. Owns the declarations only. Thread rule: the arena's thread, or as it says.
#pragma once

#include "arena.h"

namespace pagerun {

/// A partial page of the bucket, which has no current one, out of the pages with frees of other threads; null when
/// there is none. The page that has waited longest is drained first, and no more than it takes: the longer the frees
/// wait, the more of them cost one drain together. It is taken from at once: when it is empty, it does not go back.
PageHeader* bucket_drain(Arena* arena, Bucket* bucket);

/// Drains the pages on a list of an abandoned arena, on behalf of its thread. Under arenas_lock.
void list_service(std::atomic<PageHeader*>& pages);

/// The state changes that a drain brought about. The first leaves a page that is empty where it is.
void page_settle_partial(Bucket* bucket, PageHeader* page);
void page_settle(Arena* arena, PageHeader* page);

}  // namespace pagerun
