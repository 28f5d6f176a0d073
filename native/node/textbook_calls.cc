// The calls of the teaching heaps. Owns nothing: textbook_heaps.h has the heaps.
// Thread rule: any thread, also several on one heap.
//
// In word 0 stands the number of a heap, unless a comment says otherwise. A call returns undefined, or the number of
// what was refused: a textbook::Fault, or kNoHeap. It never follows a pointer that it was given.
#include <vector>

#include "bytes_at.h"
#include "calls.h"
#include "textbook_heaps.h"

namespace pagerun::node {

namespace {

using textbook::BlockRecord;
using textbook::Fault;
using textbook::HeapOptions;
using textbook::PageRecord;

constexpr uint32_t kNoHeap = 100;  // there is no such heap (any more)

uint64_t heap_number(MailboxWord word) { return bytes_of(word); }

napi_value number_value(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value refusal_value(napi_env env, uint32_t refusal) { return number_value(env, refusal); }

napi_value fault_value(napi_env env, Fault fault) {
  return fault == Fault::kNone ? nullptr : refusal_value(env, static_cast<uint32_t>(fault));
}

// In: kind, fit, field bytes, arenas, choice, origin, each as a number. Out: the heap's number or 0, header bytes, node
// bytes.
napi_value call_create(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  HeapOptions options;
  options.kind = static_cast<textbook::Kind>(bytes_of(mailbox[0]) % 3);
  options.fit = static_cast<textbook::Fit>(bytes_of(mailbox[1]) % 3);
  options.field_bytes = bytes_of(mailbox[2]) == sizeof(uint32_t) ? sizeof(uint32_t) : sizeof(uint64_t);
  size_t arenas = bytes_of(mailbox[3]);
  options.arenas = arenas <= textbook::kMostArenas ? static_cast<uint32_t>(arenas) : 0;
  options.choice = static_cast<textbook::Choice>(bytes_of(mailbox[4]) % 3);
  options.origin = static_cast<textbook::Origin>(bytes_of(mailbox[5]) % 2);
  textbook::Heap* heap = textbook::Heap::create(options);
  mailbox[0].number = heap == nullptr ? 0 : static_cast<double>(textbook_add(heap));
  if (heap == nullptr) return nullptr;
  mailbox[1].number = static_cast<double>(heap->header_bytes());
  mailbox[2].number = static_cast<double>(heap->node_bytes());
  return nullptr;
}

// Out: header bytes, node bytes, kind, fit, field bytes, arenas, choice, origin. The heap has one share more.
napi_value call_share(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  uint64_t number = heap_number(mailbox[0]);
  HeldHeap heap(number);
  if (!heap || !textbook_share(number)) return refusal_value(env, kNoHeap);
  const HeapOptions& options = heap->options();
  const double values[] = {
      static_cast<double>(heap->header_bytes()), static_cast<double>(heap->node_bytes()),
      static_cast<double>(options.kind),         static_cast<double>(options.fit),
      static_cast<double>(options.field_bytes),  static_cast<double>(options.arenas),
      static_cast<double>(options.choice),       static_cast<double>(options.origin),
  };
  static_assert(sizeof(values) / sizeof(values[0]) <= kMailboxWords);
  MailboxWord* out = mailbox;
  for (double value : values) (out++)->number = value;
  return nullptr;
}

napi_value call_drop(napi_env env, napi_callback_info info) {
  textbook_drop(heap_number(environment_of(env, info)->mailbox[0]));
  return nullptr;
}

napi_value call_destroy(napi_env env, napi_callback_info info) {
  bool was_there = textbook_destroy(heap_number(environment_of(env, info)->mailbox[0]));
  return was_there ? nullptr : refusal_value(env, kNoHeap);
}

// Out: what `take` sets ptr to: the block or 0.
template <class Take>
napi_value call_take(napi_env env, napi_callback_info info, Take take) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  HeldHeap heap(heap_number(mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  void* ptr = nullptr;
  Fault fault = take(*heap, mailbox, &ptr);
  mailbox[0] = word_of(ptr);
  return fault_value(env, fault);
}

// In: heap, bytes.
napi_value call_malloc(napi_env env, napi_callback_info info) {
  return call_take(env, info, [](textbook::Heap& heap, const MailboxWord* in, void** ptr) {
    return heap.try_allocate(bytes_of(in[1]), ptr);
  });
}

// In: heap, count, bytes of each.
napi_value call_calloc(napi_env env, napi_callback_info info) {
  return call_take(env, info, [](textbook::Heap& heap, const MailboxWord* in, void** ptr) {
    return heap.try_allocate_zeroed(bytes_of(in[1]), bytes_of(in[2]), ptr);
  });
}

// In: heap, the block, bytes.
napi_value call_realloc(napi_env env, napi_callback_info info) {
  return call_take(env, info, [](textbook::Heap& heap, const MailboxWord* in, void** ptr) {
    return heap.try_reallocate(pointer_of(in[1]), bytes_of(in[2]), ptr);
  });
}

// In: heap, the block.
napi_value call_free(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  HeldHeap heap(heap_number(mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  return fault_value(env, heap->try_deallocate(pointer_of(mailbox[1])));
}

// In: heap, a pointer. The block is the one that holds it.
napi_value call_locate(napi_env env, napi_callback_info info) {
  return call_take(env, info, [](textbook::Heap& heap, const MailboxWord* in, void** ptr) {
    BlockRecord found;
    Fault fault = heap.locate(pointer_of(in[1]), &found);
    *ptr = found.ptr;
    return fault;
  });
}

// In: heap, an address, bytes. Returns as all, but kForeignPointer when not all bytes are the heap's.
napi_value call_has(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  HeldHeap heap(heap_number(mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  bool has_all = heap->has(pointer_of(mailbox[1]), bytes_of(mailbox[2]));
  return has_all ? nullptr : fault_value(env, Fault::kForeignPointer);
}

// Argument: a Uint8Array. In: heap, an address. Returns as all, but kForeignPointer when not all bytes are the heap's.
template <bool is_in>
napi_value call_copy(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  MailboxWord* mailbox = static_cast<Environment*>(data)->mailbox;
  HeldHeap heap(heap_number(mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  void* address = pointer_of(mailbox[1]);
  Bytes bytes = bytes_from(env, argument);
  bool is_copied =
      is_in ? heap->copy_in(address, bytes.data, bytes.length) : heap->copy_out(address, bytes.data, bytes.length);
  return is_copied ? nullptr : fault_value(env, Fault::kForeignPointer);
}

// Undefined, or { invariant, address }.
Napi::Value verdict_from(Napi::Env env, const textbook::Verdict& verdict) {
  if (verdict.invariant == nullptr) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  object.Set("invariant", verdict.invariant);
  object.Set("address", Napi::BigInt::New(env, reinterpret_cast<uint64_t>(verdict.address)));
  return object;
}

Napi::Value address_from(Napi::Env env, const char* address) {
  if (address == nullptr) return env.Undefined();
  return Napi::BigInt::New(env, reinterpret_cast<uint64_t>(address));
}

// Undefined when every invariant holds, { invariant, address } of the first broken one, or a refusal's number.
napi_value call_check(napi_env env, napi_callback_info info) {
  HeldHeap heap(heap_number(environment_of(env, info)->mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  return verdict_from(env, heap->check());
}

Napi::Object object_from(Napi::Env env, const BlockRecord& block) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", block.is_free ? "node" : "header");
  object.Set("address", address_from(env, block.address));
  object.Set("ptr", address_from(env, block.ptr));
  object.Set("size", static_cast<double>(block.size));
  object.Set("arena", static_cast<double>(block.arena));
  object.Set("next", address_from(env, block.next));
  return object;
}

// An array of blocks in the order of addresses, the verdict of a broken heap, or a refusal's number. The records are
// copied first: JavaScript's values are made without the heap's locks.
napi_value call_blocks(napi_env raw_env, napi_callback_info info) {
  Napi::Env env(raw_env);
  HeldHeap heap(heap_number(environment_of(raw_env, info)->mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  std::vector<BlockRecord> blocks;
  textbook::Verdict verdict = heap->each_block([&](const BlockRecord& block) { blocks.push_back(block); });
  if (verdict.invariant != nullptr) return verdict_from(env, verdict);
  Napi::Array array = Napi::Array::New(env, blocks.size());
  for (size_t i = 0; i < blocks.size(); i++) {
    Napi::HandleScope scope(env);  // one record's handles at a time
    array.Set(static_cast<uint32_t>(i), object_from(env, blocks[i]));
  }
  return array;
}

struct CopiedPage {
  PageRecord record;
  std::vector<uint64_t> bitmap;
};

Napi::Object object_from(Napi::Env env, const CopiedPage& page) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", address_from(env, page.record.address));
  object.Set("blockSize", static_cast<double>(page.record.block_bytes));
  object.Set("capacity", static_cast<double>(page.record.capacity));
  object.Set("used", static_cast<double>(page.record.used));
  Napi::BigUint64Array bitmap = Napi::BigUint64Array::New(env, page.bitmap.size());
  for (size_t i = 0; i < page.bitmap.size(); i++) bitmap[i] = page.bitmap[i];
  object.Set("bitmap", bitmap);
  object.Set("next", address_from(env, page.record.next));
  object.Set("prev", address_from(env, page.record.prev));
  return object;
}

// An array of bucket pages, likewise.
napi_value call_pages(napi_env raw_env, napi_callback_info info) {
  Napi::Env env(raw_env);
  HeldHeap heap(heap_number(environment_of(raw_env, info)->mailbox[0]));
  if (!heap) return refusal_value(env, kNoHeap);
  std::vector<CopiedPage> pages;
  textbook::Verdict verdict = heap->each_page(
      [&](const PageRecord& page) { pages.push_back({page, {page.bitmap, page.bitmap + words_of(page.capacity)}}); });
  if (verdict.invariant != nullptr) return verdict_from(env, verdict);
  Napi::Array array = Napi::Array::New(env, pages.size());
  for (size_t i = 0; i < pages.size(); i++) {
    Napi::HandleScope scope(env);
    array.Set(static_cast<uint32_t>(i), object_from(env, pages[i]));
  }
  return array;
}

}  // namespace

void define_textbook_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "textbookCreate", call_create, environment);
  define_function(exports, "textbookShare", call_share, environment);
  define_function(exports, "textbookDrop", call_drop, environment);
  define_function(exports, "textbookDestroy", call_destroy, environment);
  define_function(exports, "textbookMalloc", call_malloc, environment);
  define_function(exports, "textbookCalloc", call_calloc, environment);
  define_function(exports, "textbookRealloc", call_realloc, environment);
  define_function(exports, "textbookFree", call_free, environment);
  define_function(exports, "textbookLocate", call_locate, environment);
  define_function(exports, "textbookHas", call_has, environment);
  define_function(exports, "textbookCopyIn", call_copy<true>, environment);
  define_function(exports, "textbookCopyOut", call_copy<false>, environment);
  define_function(exports, "textbookCheck", call_check, environment);
  define_function(exports, "textbookBlocks", call_blocks, environment);
  define_function(exports, "textbookPages", call_pages, environment);
}

}  // namespace pagerun::node
