// The calls behind lib/arena.ts. Owns nothing; the environment's arenas are in its handles.
// Thread rule: each environment on its own thread.
#include "calls.h"
#include "external_buffer.h"

namespace pagerun::node {

namespace {

// What a call returns that has no misuse to tell.
constexpr uint32_t kOverLimit = 16, kNoMemory = 17, kOtherArena = 18, kNoArena = 19;

napi_value status_value(napi_env env, uint32_t status) {
  napi_value value = nullptr;
  if (status != 0) napi_create_uint32(env, status, &value);
  return value;
}

uint32_t status_of(Refusal refusal) { return refusal == Refusal::kLimit ? kOverLimit : kNoMemory; }

MadeArena* arena_in(Environment* environment) { return environment->arenas.find(environment->mailbox[0].number); }

double used_bytes(const Environment* environment, const MadeArena* arena) {
  return static_cast<double>(environment->core->arena_bytes(arena));
}

// Argument: the name, a string. In: the limit in bytes, or infinity; 1 for the hardened profile. Out: the handle; 0
// when there is no memory.
napi_value call_arena_make(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1, length = 0;
  void* data = nullptr;
  char name[kArenaNameBytes + 4] = {};  // a whole character more than is kept, so that its end can be seen
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  auto* environment = static_cast<Environment*>(data);
  MailboxWord* mailbox = environment->mailbox;
  if (napi_get_value_string_utf8(env, argument, name, sizeof(name), &length) != napi_ok) length = 0;
  size_t limit_bytes = bytes_of(mailbox[0]);
  MadeArena* arena = environment->core->arena_make(limit_bytes, name, length, mailbox[1].number == 1);
  mailbox[0].number = arena == nullptr ? 0 : environment->arenas.add(arena);
  return nullptr;
}

// In: a handle, bytes, alignment; 0 instead of an alignment for a block that is zero. Out: the block, the bytes in use
// before and behind. Returns a status.
napi_value call_arena_malloc(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  MadeArena* arena = arena_in(environment);
  if (arena == nullptr) return status_value(env, kNoArena);
  size_t bytes = bytes_of(mailbox[1]), alignment = bytes_of(mailbox[2]);
  double used_before = used_bytes(environment, arena);
  Refusal refusal = Refusal::kNone;
  void* ptr = alignment == 0 ? environment->core->arena_take_zeroed(arena, bytes, &refusal)
                             : environment->core->arena_take(arena, bytes, alignment, &refusal);
  mailbox[0] = word_of(ptr);
  mailbox[1].number = used_before;
  mailbox[2].number = used_bytes(environment, arena);
  if (ptr == nullptr) return status_value(env, status_of(refusal));
  Finding finding;
  if (!environment->core->finding_take(&finding)) return nullptr;
  environment->core->deallocate(ptr);
  mailbox[0] = word_of(finding.block);
  return misuse_value(env, finding.misuse);
}

// The misuse of a pointer that should be the first byte of a block of the arena (null: there is none), as a status; 0
// when it is.
uint32_t check_block(Environment* environment, const MadeArena* arena, const void* ptr, Block* block) {
  if (arena == nullptr) return kNoArena;
  ArenaMemory memory;
  Misuse misuse = environment->core->arena_find(ptr, block, &memory);
  if (misuse != Misuse::kNone) return static_cast<uint32_t>(misuse);
  return memory.arena == arena ? 0 : kOtherArena;
}

// In: a handle, a block of it, bytes (not 0). Out, return: as malloc, or a misuse.
napi_value call_arena_realloc(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  MadeArena* arena = arena_in(environment);
  void* ptr = pointer_of(mailbox[1]);
  Block block;
  uint32_t status = check_block(environment, arena, ptr, &block);
  if (status != 0) return status_value(env, status);
  double handle = mailbox[0].number, used_before = used_bytes(environment, arena);
  void* result = nullptr;
  Refusal refusal = Refusal::kNone;
  size_t bytes = bytes_of(mailbox[2]);
  Misuse misuse = environment->core->arena_resize(arena, ptr, bytes == 0 ? 1 : bytes, &result, &refusal);
  if (misuse != Misuse::kNone) return misuse_value(env, misuse);
  if (result != nullptr && result != ptr) environment->arenas.end_buffers(handle, ptr);
  mailbox[0] = word_of(result);
  mailbox[1].number = used_before;
  mailbox[2].number = used_bytes(environment, arena);
  return result == nullptr ? status_value(env, status_of(refusal)) : nullptr;
}

// In: a handle, a block of it. Detaches the ArrayBuffers over a block that has memory of its own. Returns a status or a
// misuse.
napi_value call_arena_free(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  void* ptr = pointer_of(mailbox[1]);
  Block block;
  uint32_t status = check_block(environment, arena_in(environment), ptr, &block);
  if (status != 0) return status_value(env, status);
  bool has_own_memory = block.kind != static_cast<uint32_t>(PageKind::kBucket);
  Misuse misuse = environment->core->deallocate(ptr);
  if (misuse == Misuse::kNone && has_own_memory) environment->arenas.end_buffers(mailbox[0].number, ptr);
  return misuse_value(env, misuse);
}

// In: a handle, a pointer. Out, all as quantities, where it points into a live block of the arena: the block's first
// address, its usable bytes, the pointer, the first address and the bytes of the memory that an ArrayBuffer would be
// over, and 1 when that is the block's alone. Returns a status or a misuse, an interior pointer being none.
napi_value call_arena_locate(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  MadeArena* arena = arena_in(environment);
  if (arena == nullptr) return status_value(env, kNoArena);
  void* ptr = pointer_of(mailbox[1]);
  Block block;
  ArenaMemory memory;
  Misuse misuse = environment->core->arena_find(ptr, &block, &memory);
  if (block.start == nullptr) return misuse_value(env, misuse == Misuse::kNone ? Misuse::kForeignPointer : misuse);
  if (memory.arena != arena) return status_value(env, kOtherArena);
  mailbox[0].number = number_of(block.start);
  mailbox[1].number = static_cast<double>(block.usable_bytes);
  mailbox[2].number = number_of(ptr);
  mailbox[3].number = number_of(memory.start);
  mailbox[4].number = static_cast<double>(memory.bytes);
  mailbox[5].number = block.kind == static_cast<uint32_t>(PageKind::kBucket) ? 0 : 1;
  return nullptr;
}

// In: a handle, a pointer into a live block of the arena, the first address and the bytes of what the buffer shall
// cover of the memory that arenaLocate tells. Returns the ArrayBuffer; null where the runtime refuses it, or the block
// has gone.
napi_value call_arena_buffer(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  MadeArena* arena = arena_in(environment);
  Block block;
  ArenaMemory memory = {};
  environment->core->arena_find(pointer_of(mailbox[1]), &block, &memory);
  if (arena == nullptr || memory.arena != arena) return buffer_or_null(env, nullptr);
  auto offset = static_cast<size_t>(static_cast<char*>(pointer_of(mailbox[2])) - memory.start);
  size_t bytes = bytes_of(mailbox[3]);
  if (offset > memory.bytes || bytes > memory.bytes - offset) return buffer_or_null(env, nullptr);
  return buffer_or_null(env, environment->arenas.make_buffer(mailbox[0].number, memory, offset, bytes));
}

// In: a handle. Out: the bytes in use. Returns a status.
napi_value call_arena_used(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MadeArena* arena = arena_in(environment);
  if (arena == nullptr) return status_value(env, kNoArena);
  environment->mailbox[0].number = used_bytes(environment, arena);
  return nullptr;
}

// In: a handle. Returns a status.
template <void (ArenaHandles::*act)(double)>
napi_value call_arena_end(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  if (arena_in(environment) == nullptr) return status_value(env, kNoArena);
  (environment->arenas.*act)(environment->mailbox[0].number);
  return nullptr;
}

}  // namespace

void define_arena_calls(Napi::Object exports, Environment* environment) {
  Napi::Object statuses = Napi::Object::New(exports.Env());
  statuses.Set("overLimit", static_cast<double>(kOverLimit));
  statuses.Set("noMemory", static_cast<double>(kNoMemory));
  statuses.Set("otherArena", static_cast<double>(kOtherArena));
  statuses.Set("noArena", static_cast<double>(kNoArena));
  exports.Set("arenaStatus", statuses);
  define_function(exports, "arenaMake", call_arena_make, environment);
  define_function(exports, "arenaMalloc", call_arena_malloc, environment);
  define_function(exports, "arenaRealloc", call_arena_realloc, environment);
  define_function(exports, "arenaFree", call_arena_free, environment);
  define_function(exports, "arenaLocate", call_arena_locate, environment);
  define_function(exports, "arenaBuffer", call_arena_buffer, environment);
  define_function(exports, "arenaUsed", call_arena_used, environment);
  define_function(exports, "arenaReset", call_arena_end<&ArenaHandles::reset>, environment);
  define_function(exports, "arenaDestroy", call_arena_end<&ArenaHandles::destroy>, environment);
  define_function(exports, "arenaDrop", call_arena_end<&ArenaHandles::drop>, environment);
}

}  // namespace pagerun::node
