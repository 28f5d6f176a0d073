// What the core tells about itself, as plain JavaScript values: verify, totals, snapshot.
// Owns nothing: a snapshot is copied into JavaScript values and given back. Thread rule: the core's, any thread.
#include <cstring>

#include "calls.h"

namespace pagerun::node {

namespace {

Napi::Value number_from(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

Napi::Value address_from(Napi::Env env, uint64_t address) { return Napi::BigInt::New(env, address); }

Napi::Value call_verify(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  // Counts are checked of the arena that is the thread's, which may be in use: each of the two in its turn.
  Verdict verdict = core()->verify();
  if (verdict.invariant == nullptr) {
    ArenaScope scope(static_cast<Environment*>(info.Data()));
    verdict = core()->verify();
  }
  if (verdict.invariant == nullptr) return env.Undefined();
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("invariant", verdict.invariant);
  failure.Set("address", address_from(env, reinterpret_cast<uint64_t>(verdict.address)));
  return failure;
}

Napi::Object totals_from(Napi::Env env, const SnapshotTotals& totals) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("reservedBytes", number_from(env, totals.reserved_bytes));
  object.Set("committedBytes", number_from(env, totals.committed_bytes));
  object.Set("metadataBytes", number_from(env, totals.metadata_bytes));
  object.Set("liveBlocks", number_from(env, totals.live_blocks));
  object.Set("liveBytes", number_from(env, totals.live_bytes));
  object.Set("freeRunBytes", number_from(env, totals.free_run_bytes));
  object.Set("mappingBytes", number_from(env, totals.mapping_bytes));
  object.Set("arenas", number_from(env, totals.arenas));
  object.Set("ranges", number_from(env, totals.ranges));
  object.Set("rangeBytes", number_from(env, totals.range_bytes));
  object.Set("purgedBytes", number_from(env, totals.purged_bytes));
  object.Set("purges", number_from(env, totals.purges));
  object.Set("retakenBytes", number_from(env, totals.retaken_bytes));
  object.Set("purgePasses", number_from(env, totals.purge_passes));
  return object;
}

Napi::Value call_memory_totals(const Napi::CallbackInfo& info) {
  return totals_from(info.Env(), core()->memory_totals());
}

Napi::Object record_from(Napi::Env env, const ArenaRecord& arena) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", number_from(env, arena.id));
  object.Set("state", number_from(env, arena.state));
  object.Set("pages", number_from(env, arena.pages));
  object.Set("liveBlocks", number_from(env, arena.live_blocks));
  object.Set("liveBytes", number_from(env, arena.live_bytes));
  object.Set("host", number_from(env, arena.host));
  object.Set("name", Napi::String::New(env, arena.name));
  object.Set("limit", arena.limit_bytes == kNoLimit ? Napi::Number::New(env, __builtin_huge_val())
                                                    : number_from(env, arena.limit_bytes));
  return object;
}

Napi::Object record_from(Napi::Env env, const PageRecord& page) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", address_from(env, page.address));
  object.Set("isBucket", Napi::Boolean::New(env, page.kind == static_cast<uint32_t>(PageKind::kBucket)));
  object.Set("arena", number_from(env, page.arena));
  object.Set("sizeClass", number_from(env, page.size_class));
  object.Set("blockBytes", number_from(env, page.block_bytes));
  object.Set("pages", number_from(env, page.pages));
  object.Set("capacity", number_from(env, page.capacity));
  object.Set("used", number_from(env, page.used));
  object.Set("remote", number_from(env, page.remote));
  object.Set("bitmapWord", number_from(env, page.bitmap_word));
  return object;
}

Napi::Object record_from(Napi::Env env, const RunRecord& run) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", address_from(env, run.address));
  object.Set("pages", number_from(env, run.pages));
  object.Set("dirty", Napi::Boolean::New(env, run.dirty != 0));
  return object;
}

Napi::Object record_from(Napi::Env env, const MappingRecord& mapping) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", address_from(env, mapping.address));
  object.Set("bytes", number_from(env, mapping.bytes));
  object.Set("arena", number_from(env, mapping.arena));
  return object;
}

Napi::Object record_from(Napi::Env env, const RangeRecord& range) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", address_from(env, range.address));
  object.Set("bytes", number_from(env, range.bytes));
  object.Set("guardBytes", number_from(env, range.guard_bytes));
  object.Set("locked", Napi::Boolean::New(env, range.is_locked != 0));
  object.Set("huge", Napi::Boolean::New(env, range.is_huge != 0));
  object.Set("part", number_from(env, range.part));
  object.Set("parts", number_from(env, range.parts));
  return object;
}

Napi::Object record_from(Napi::Env env, const PartRecord& part) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", address_from(env, part.address));
  object.Set("bytes", number_from(env, part.bytes));
  object.Set("protection", number_from(env, part.protection));
  return object;
}

template <class Record>
Napi::Array array_from(Napi::Env env, const Record* records, uint64_t count) {
  Napi::Array array = Napi::Array::New(env, count);
  for (uint64_t i = 0; i < count; i++) {
    Napi::HandleScope scope(env);  // one record's handles at a time
    array.Set(static_cast<uint32_t>(i), record_from(env, records[i]));
  }
  return array;
}

Napi::Value words_from(Napi::Env env, const uint64_t* words, uint64_t count) {
  Napi::BigUint64Array array = Napi::BigUint64Array::New(env, count);
  if (count > 0) memcpy(array.Data(), words, count * sizeof(uint64_t));
  return array;
}

// Undefined when there is no memory for a snapshot.
Napi::Value call_snapshot(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Snapshot* snapshot = core()->snapshot_take();
  if (snapshot == nullptr) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  object.Set("totals", totals_from(env, snapshot->totals));
  object.Set("arenas", array_from(env, snapshot->arenas, snapshot->arena_count));
  object.Set("pages", array_from(env, snapshot->pages, snapshot->page_count));
  object.Set("runs", array_from(env, snapshot->runs, snapshot->run_count));
  object.Set("mappings", array_from(env, snapshot->mappings, snapshot->mapping_count));
  object.Set("ranges", array_from(env, snapshot->ranges, snapshot->range_count));
  object.Set("parts", array_from(env, snapshot->parts, snapshot->part_count));
  object.Set("bitmapWords", words_from(env, snapshot->bitmap_words, snapshot->bitmap_word_count));
  core()->snapshot_release(snapshot);
  return object;
}

}  // namespace

void define_report_calls(Napi::Object exports, Environment* environment) {
  Napi::Env env = exports.Env();
  exports.Set("verify", Napi::Function::New(env, call_verify, "verify", environment));
  exports.Set("memoryTotals", Napi::Function::New(env, call_memory_totals, "memoryTotals"));
  exports.Set("snapshot", Napi::Function::New(env, call_snapshot, "snapshot"));
}

}  // namespace pagerun::node
