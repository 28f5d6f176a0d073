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
    if (last != nullptr) napi_detach_arraybuffer(env_, last);
  }
  sentinel_ = sentinel.release();  // until its finalizer
}

void BlockLedgers::sentinel_finalizer(napi_env env, void* /*byte*/, void* data) {
  std::unique_ptr<Sentinel> sentinel(static_cast<Sentinel*>(data));
  napi_delete_reference(env, sentinel->reference);
  if (sentinel->owner == nullptr) return;
  sentinel->owner->sentinel_ = nullptr;
  sentinel->owner->judge(sentinel->owner->of_heap_);
  sentinel->owner->judge(sentinel->owner->of_homes_);
}

bool BlockLedgers::detach(BlockBuffer* buffer, napi_value value) {
  buffer->is_proven = is_attached(env_, value) && napi_detach_arraybuffer(env_, value) == napi_ok;
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

bool BlockLedgers::drop_buffer(LedgerEntry* entry) { return entry->buffer == nullptr || leave(entry); }

// True when the memory can still be reached.
bool BlockLedgers::end_with_home(BlockBuffer* buffer) {
  if (buffer->is_gone) {
    remove(buffer);
    return false;
  }
  buffer->is_ended = true;
  if (buffer->is_proven || detach(buffer, value_of(*buffer))) return false;
  pin_in_arena(buffer);
  return true;
}

void BlockLedgers::memory_finalizer(napi_env /*env*/, void* ptr, void* data) {
  auto* buffer = static_cast<BlockBuffer*>(data);
  if (buffer->is_pinned) core()->mapping_unpin(ptr);
  buffer->is_gone = true;
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

void BlockLedgers::remove(BlockBuffer* buffer) {
  list_of(buffer->home).remove(buffer);
  if (buffer->reference != nullptr) napi_delete_reference(env_, buffer->reference);
  delete buffer;
}

// The environment ends, and every ArrayBuffer with it. One that has lost its memory before has lost it to another one,
// which may belong to another thread by now. So may one that was collected with the end of its memory still untold.
void BlockLedgers::judge(const List<BlockBuffer>& buffers) const {
  for (BlockBuffer* buffer = buffers.first(); buffer != nullptr; buffer = buffer->next) {
    bool is_own = is_attached(env_, value_of(*buffer));
    buffer->is_foreign = !is_own && !buffer->is_gone && !buffer->is_proven;
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

BlockLedgers::~BlockLedgers() {
  for (List<BlockBuffer>* buffers : {&of_heap_, &of_homes_}) {
    while (BlockBuffer* buffer = buffers->pop()) delete buffer;
  }
}

}  // namespace pagerun::node
