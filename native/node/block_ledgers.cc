#include "block_ledgers.h"

#include <cstring>
#include <memory>

#include "environment.h"
#include "external_buffer.h"
#include "held_block.h"

namespace pagerun::node {

namespace {

void unpin_object(napi_env /*env*/, void* start, void* /*hint*/) { core()->mapping_unpin(start); }

// The arena of the block is about to end, and the block with it: its memory stays with nobody.
void pin_in_arena(BlockBuffer* buffer) {
  Block block;
  core()->arena_find(buffer->ptr, &block, &buffer->pinned);
  if (buffer->pinned.arena != nullptr && !core()->arena_pin(buffer->pinned)) buffer->pinned.arena = nullptr;
}

}  // namespace

bool is_attached(napi_env env, napi_value value) {
  bool is_detached = true;
  return value != nullptr && napi_is_detached_arraybuffer(env, value, &is_detached) == napi_ok && !is_detached;
}

// The ArrayBuffer itself; null when it has been collected, or nobody has kept it.
napi_value BlockLedgers::value_of(const BlockBuffer& buffer) const {
  napi_value value = nullptr;
  if (buffer.reference != nullptr) napi_get_reference_value(env_, buffer.reference, &value);
  return value;
}

size_t BlockLedgers::add() {
  ledgers_.emplace_back();
  return ledgers_.size() - 1;
}

napi_value BlockLedgers::grow(size_t number, size_t entries) {
  void* memory = nullptr;
  napi_value value = nullptr;
  if (number >= ledgers_.size() || entries > SIZE_MAX / sizeof(LedgerEntry)) return nullptr;
  Ledger& ledger = ledgers_[number];
  if (entries <= ledger.entries) return nullptr;
  if (napi_create_arraybuffer(env_, entries * sizeof(LedgerEntry), &memory, &value) != napi_ok) {
    clear_exception(env_);
    return nullptr;
  }
  if (ledger.entries > 0) memcpy(memory, ledger.first, ledger.entries * sizeof(LedgerEntry));
  ledger.memory = Napi::Persistent(Napi::ArrayBuffer(env_, value));
  ledger.first = static_cast<LedgerEntry*>(memory);
  ledger.entries = entries;
  return value;
}

BlockLedgers::Refusal BlockLedgers::make_buffer(LedgerEntry* entry, bool is_guarded, napi_value* made) {
  auto bytes = static_cast<size_t>(entry->bytes);
  HeldBlock for_memory;
  if (!for_memory.hold(entry->ptr, bytes)) return Refusal::kNoBlock;
  auto buffer = std::make_unique<BlockBuffer>(BlockBuffer{entry->ptr, this, entry->home});
  napi_value value = external_buffer(env_, entry->ptr, bytes, memory_finalizer, buffer.get());
  if (value == nullptr) return Refusal::kNoBuffer;
  BlockBuffer* const kept = buffer.release();  // from here on the finalizer's
  list_of(kept->home).push(kept);
  kept->is_pinned = is_mapping(for_memory.block());
  for_memory.give_up();
  if (kept->is_pinned) pin_for_object(value, kept->ptr);
  if (is_guarded || kept->home != 0) napi_create_reference(env_, value, 0, &kept->reference);
  if (is_guarded) guard();
  entry->buffer = kept;
  *made = value;
  return Refusal::kNone;
}

// A mapping stays mapped while an asynchronous call may still use the memory that the ArrayBuffer had when it began.
void BlockLedgers::pin_for_object(napi_value value, void* start) {
  HeldBlock for_object;
  if (!for_object.hold(start, 0)) return;
  if (napi_add_finalizer(env_, value, start, unpin_object, nullptr, nullptr) == napi_ok) for_object.give_up();
}

void BlockLedgers::guard() {
  static char byte;
  auto sentinel = std::make_unique<Sentinel>(Sentinel{this});
  napi_value value = external_buffer(env_, &byte, sizeof(byte), sentinel_finalizer, sentinel.get());
  if (value == nullptr) return;
  napi_create_reference(env_, value, 1, &sentinel->reference);
  if (sentinel_ != nullptr) {
    napi_value last = nullptr;
    sentinel_->owner = nullptr;
    napi_get_reference_value(env_, sentinel_->reference, &last);
    napi_delete_reference(env_, sentinel_->reference);
    if (last != nullptr) napi_detach_arraybuffer(env_, last);
  }
  sentinel_ = sentinel.release();  // until its finalizer
}

void BlockLedgers::sentinel_finalizer(napi_env env, void* /*byte*/, void* data) {
  std::unique_ptr<Sentinel> sentinel(static_cast<Sentinel*>(data));
  if (sentinel->owner == nullptr) return;
  napi_delete_reference(env, sentinel->reference);
  sentinel->owner->sentinel_ = nullptr;
  sentinel->owner->stop_counting();
  sentinel->owner->judge(sentinel->owner->of_heap_);
  sentinel->owner->judge(sentinel->owner->of_homes_);
}

// A dropped Block's ArrayBuffer can lose its memory and be collected, and nobody sees it without. But memory that it
// still has ends with it: at the latest when the next collection begins, and that is told before the one after it.
void BlockLedgers::ask_witness(BlockBuffer* buffer, napi_value value) {
  auto witness = std::make_unique<Witness>(Witness{buffer});
  if (napi_add_finalizer(env_, value, witness.get(), object_finalizer, nullptr, nullptr) != napi_ok) return;
  buffer->witness = witness.release();  // until its finalizer
  if (beacon_ == nullptr) count_next_collection();
}

void BlockLedgers::object_finalizer(napi_env /*env*/, void* data, void* /*hint*/) {
  std::unique_ptr<Witness> witness(static_cast<Witness*>(data));
  BlockBuffer* buffer = witness->buffer;
  if (buffer == nullptr) return;
  buffer->witness = nullptr;
  buffer->is_collected = true;
  buffer->collected_at = buffer->owner->collections_;
}

void BlockLedgers::count_next_collection() {
  napi_value object = nullptr;
  auto beacon = std::make_unique<Beacon>(Beacon{this});
  beacon_ = nullptr;
  if (napi_create_object(env_, &object) != napi_ok) return;
  if (napi_add_finalizer(env_, object, beacon.get(), beacon_finalizer, nullptr, nullptr) != napi_ok) return;
  beacon_ = beacon.release();  // until its finalizer
}

void BlockLedgers::beacon_finalizer(napi_env /*env*/, void* data, void* /*hint*/) {
  std::unique_ptr<Beacon> beacon(static_cast<Beacon*>(data));
  if (beacon->owner == nullptr) return;
  beacon->owner->collections_++;
  beacon->owner->count_next_collection();
}

void BlockLedgers::stop_counting() {
  if (beacon_ != nullptr) beacon_->owner = nullptr;
  beacon_ = nullptr;
}

// The collection that was told of last may be the object's own.
bool BlockLedgers::has_outlived_object(const BlockBuffer& buffer) const {
  return buffer.is_collected && !buffer.is_gone && collections_ >= buffer.collected_at + 2;
}

bool BlockLedgers::detach(BlockBuffer* buffer, napi_value value) {
  buffer->is_moved = value != nullptr && !is_attached(env_, value);
  buffer->is_proven = value != nullptr && !buffer->is_moved && napi_detach_arraybuffer(env_, value) == napi_ok;
  return buffer->is_proven;
}

// The Block is over. True when its buffer's memory is as well; else the finalizer goes on from here.
bool BlockLedgers::leave(LedgerEntry* entry) {
  BlockBuffer* buffer = entry->buffer;
  entry->buffer = nullptr;
  buffer->is_ended = true;
  if (buffer->is_gone) {
    remove(buffer);
    return true;
  }
  return buffer->is_proven;
}

bool BlockLedgers::end_buffer(LedgerEntry* entry, napi_value value) {
  if (entry->buffer == nullptr) return true;
  detach(entry->buffer, value);
  return leave(entry);
}

bool BlockLedgers::drop_buffer(LedgerEntry* entry, napi_value value) {
  if (entry->buffer == nullptr) return true;
  entry->buffer->is_moved = value != nullptr && !is_attached(env_, value);
  if (value != nullptr && !entry->buffer->is_moved && !entry->buffer->is_gone) ask_witness(entry->buffer, value);
  return leave(entry);
}

// True when the memory can still be reached.
bool BlockLedgers::end_with_home(BlockBuffer* buffer) {
  if (!buffer->is_gone && !buffer->is_proven) detach(buffer, value_of(*buffer));
  // Some runtimes call the finalizer of memory while they detach it.
  if (buffer->is_gone) {
    remove(buffer);
    return false;
  }
  buffer->is_ended = true;
  if (buffer->is_proven) return false;
  pin_in_arena(buffer);
  return true;
}

void BlockLedgers::memory_finalizer(napi_env /*env*/, void* ptr, void* data) {
  auto* buffer = static_cast<BlockBuffer*>(data);
  if (buffer->is_pinned) core()->mapping_unpin(ptr);
  buffer->is_gone = true;
  if (buffer->owner == nullptr) {
    free_after_end(buffer);
    return;
  }
  if (!buffer->is_ended) return;
  if (!buffer->is_proven && !buffer->is_foreign) {
    if (buffer->pinned.arena != nullptr) {
      core()->arena_unpin(buffer->pinned);
    } else {
      buffer->owner->free_block(ptr);
    }
  }
  buffer->owner->remove(buffer);
}

// The environment has ended before the memory: nobody else frees the block, and the home has ended, too.
void BlockLedgers::free_after_end(BlockBuffer* buffer) {
  if (!buffer->is_proven && !buffer->is_foreign) {
    if (buffer->pinned.arena != nullptr) {
      core()->arena_unpin(buffer->pinned);
    } else if (buffer->home == 0) {
      static_cast<void>(core()->deallocate(buffer->ptr));
    }
  }
  delete buffer;
}

void BlockLedgers::remove(BlockBuffer* buffer) {
  list_of(buffer->home).remove(buffer);
  if (buffer->witness != nullptr) buffer->witness->buffer = nullptr;
  if (buffer->reference != nullptr) napi_delete_reference(env_, buffer->reference);
  delete buffer;
}

// The environment ends, and every ArrayBuffer with it. One that has lost its memory before has lost it to another one,
// which may belong to another thread by now. One that was collected took its memory along, unless it was seen without,
// or its memory has outlived it.
void BlockLedgers::judge(const List<BlockBuffer>& buffers) const {
  for (BlockBuffer* buffer = buffers.first(); buffer != nullptr; buffer = buffer->next) {
    napi_value value = value_of(*buffer);
    bool is_moved = buffer->is_moved || (value != nullptr && !is_attached(env_, value)) || has_outlived_object(*buffer);
    buffer->is_foreign = is_moved && !buffer->is_gone && !buffer->is_proven;
  }
}

// A misuse means that the program has freed the block behind its Block's back. There is nobody to tell.
void BlockLedgers::free_block(void* ptr) const {
  ArenaScope scope(environment_);
  static_cast<void>(core()->deallocate(ptr));
}

void BlockLedgers::free_left(const LedgerEntry& entry) const {
  if (entry.ptr == nullptr || entry.home != 0) return;
  bool is_unreachable = entry.buffer == nullptr || (entry.buffer->is_gone && !entry.buffer->is_foreign);
  if (is_unreachable) free_block(entry.ptr);
}

void BlockLedgers::free_all() {
  for (const Ledger& ledger : ledgers_) {
    for (size_t i = 0; i < ledger.entries; i++) free_left(ledger.first[i]);
  }
  ledgers_.clear();
}

// Some runtimes call finalizers of memory after this.
BlockLedgers::~BlockLedgers() {
  stop_counting();
  if (sentinel_ != nullptr) sentinel_->owner = nullptr;
  for (List<BlockBuffer>* buffers : {&of_heap_, &of_homes_}) {
    while (BlockBuffer* buffer = buffers->pop()) {
      if (buffer->witness != nullptr) buffer->witness->buffer = nullptr;
      buffer->owner = nullptr;
    }
  }
}

}  // namespace pagerun::node
