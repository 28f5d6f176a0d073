#include "walk.h"

#include "../core/arena.h"
#include "../core/arena_list.h"
#include "../core/block_hold.h"
#include "../core/mapping_table.h"
#include "../core/range_table.h"
#include "../core/unreadable_blocks.h"

namespace pagerun {

HeapLock::HeapLock() {
  arenas_lock.take();
  run_list.lock().take();
  mapping_table.lock().take();
  range_table.lock().take();
  holds_lock().take();
  unreadable_blocks.lock().take();
}

HeapLock::~HeapLock() {
  unreadable_blocks.lock().give();
  holds_lock().give();
  range_table.lock().give();
  mapping_table.lock().give();
  run_list.lock().give();
  arenas_lock.give();
}

}  // namespace pagerun
