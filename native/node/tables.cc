// The core's tables for lib/buckets.ts, which runs malloc and free over them without a call.
// Owns nothing: the tables stay where they are for good, and only what is committed of them is shown.
// Thread rule: each environment on its own thread.
#include <algorithm>

#include "calls.h"
#include "external_buffer.h"

namespace pagerun::node {

namespace {

constexpr uint64_t kWindowBytes = 4ull << 30;

// The pages whose tables JavaScript has in ArrayBuffers of fixed length: those of the first 64 MiB. V8 counts their
// length as memory that JavaScript holds, 1.5 MiB in all.
constexpr uint64_t kNearPages = 2048;

// The region is there from the first allocation on.
HeapLayout layout_of(const Environment* environment) {
  ArenaScope scope(environment);
  environment->core->deallocate(environment->core->allocate(1));
  return environment->core->heap_layout();
}

napi_value buffer_at(napi_env env, uint64_t address, uint64_t bytes) {
  return external_buffer(env, reinterpret_cast<void*>(address), bytes, nullptr, nullptr);
}

bool is_served(const Environment* environment, const HeapLayout& layout) {
  return environment->arena != nullptr && layout.region_start != 0 && layout.region_start % kWindowBytes == 0;
}

void set_number(napi_env env, napi_value object, const char* name, uint64_t value) {
  napi_value number = nullptr;
  napi_create_double(env, static_cast<double>(value), &number);
  napi_set_named_property(env, object, name, number);
}

void set_places(Napi::Object tables, const HeapLayout& layout) {
  Napi::Env env = tables.Env();
  set_number(env, tables, "pageBytes", layout.page_bytes);
  set_number(env, tables, "headerBytes", layout.header_bytes);
  set_number(env, tables, "bitmapBytes", layout.bitmap_bytes);
  set_number(env, tables, "inlineBlocks", layout.inline_blocks);
  set_number(env, tables, "bucketKind", layout.bucket_kind);
  set_number(env, tables, "reciprocal", layout.reciprocal);
  set_number(env, tables, "start", layout.start);
  set_number(env, tables, "blockBytes", layout.block_bytes);
  set_number(env, tables, "startLimit", layout.start_limit);
  set_number(env, tables, "capacity", layout.capacity);
  set_number(env, tables, "scriptOwner", layout.script_owner);
  set_number(env, tables, "countdown", layout.countdown);
  set_number(env, tables, "notifyAt", layout.notify_at);
  set_number(env, tables, "hotOffset", layout.hot_offset);
  set_number(env, tables, "nextWord", layout.next_word);
  set_number(env, tables, "freeBits", layout.free_bits);
  set_number(env, tables, "pageWord", layout.page_word);
  set_number(env, tables, "scriptClosed", layout.script_closed);
}

Napi::Value numbers_from(Napi::Env env, const uint32_t* numbers, uint64_t count) {
  Napi::Array array = Napi::Array::New(env, count);
  for (uint32_t i = 0; i < count; i++) array.Set(i, numbers[i]);
  return array;
}

// The header table and the bitmap table of the first pages, as an array. Null where the runtime refuses.
napi_value both_tables(napi_env env, const HeapLayout& layout, uint64_t pages) {
  napi_value headers = buffer_at(env, layout.headers, pages * layout.header_bytes);
  napi_value bitmaps = buffer_at(env, layout.free_bitmaps, pages * layout.bitmap_bytes);
  napi_value both = nullptr;
  if (headers == nullptr || bitmaps == nullptr || napi_create_array(env, &both) != napi_ok) return nullptr;
  napi_set_element(env, both, 0, headers);
  napi_set_element(env, both, 1, bitmaps);
  return both;
}

// Out: pages that the buffers cover. Returns an array of the header table and the bitmap table as far as they are
// committed, undefined where the runtime refuses.
napi_value call_tables_now(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  HeapLayout layout = environment->core->heap_layout();
  uint64_t committed = __atomic_load_n(reinterpret_cast<const uint64_t*>(layout.committed), __ATOMIC_ACQUIRE);
  uint64_t pages = std::min(committed / layout.page_bytes, layout.script_pages);
  environment->mailbox[0].number = static_cast<double>(pages);
  return both_tables(env, layout, pages);
}

}  // namespace

void define_tables(Napi::Object exports, Environment* environment) {
  Napi::Env env = exports.Env();
  HeapLayout layout = layout_of(environment);
  if (!is_served(environment, layout)) return;
  napi_value arena = buffer_at(env, reinterpret_cast<uint64_t>(environment->arena), layout.arena_bytes);
  napi_value committed = buffer_at(env, layout.committed, sizeof(uint64_t));
  napi_value near = both_tables(env, layout, std::min(kNearPages, layout.script_pages));
  if (arena == nullptr || committed == nullptr || near == nullptr) return;
  Napi::Object tables = Napi::Object::New(env);
  define_function(tables, "now", call_tables_now, environment);
  tables.Set("near", near);
  tables.Set("arena", arena);
  tables.Set("committed", committed);
  tables.Set("arenaNumber", static_cast<double>(environment->core->arena_number(environment->arena)));
  tables.Set("regionStart", Napi::BigInt::New(env, layout.region_start));
  tables.Set("classBytes", numbers_from(env, layout.class_bytes, layout.class_count));
  set_places(tables, layout);
  exports.Set("tables", tables);
}

}  // namespace pagerun::node
