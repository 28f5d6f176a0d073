// The calls of malloc. Each is one Node-API entry, a few words of the mailbox and one call of the core.
// Owns nothing. Thread rule: the core's, any thread; each environment calls on its own.
#include "calls.h"

namespace pagerun::node {

namespace {

// Puts a new block into word 0. Where something was found at this allocation or an earlier one (harden/finding.h),
// the block is given back: word 0 is the block that was found then, and the misuse is returned.
napi_value give_out(napi_env env, Environment* environment, void* ptr) {
  environment->mailbox[0] = word_of(ptr);
  Finding finding;
  if (!environment->core->finding_take(&finding)) [[likely]]
    return nullptr;
  environment->core->deallocate(ptr);
  environment->mailbox[0] = word_of(finding.block);
  return misuse_value(env, finding.misuse);
}

// In: bytes. Out: the block, null when there is no memory. Returns a finding.
napi_value call_malloc(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  ArenaScope scope(environment);
  return give_out(env, environment, environment->core->allocate(bytes_of(mailbox[0])));
}

// In: count, bytes of each. Out: the block, null when there is no memory.
napi_value call_calloc(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  ArenaScope scope(environment);
  return give_out(env, environment, environment->core->allocate_zeroed(bytes_of(mailbox[0]), bytes_of(mailbox[1])));
}

// In: alignment, bytes. Out: the block, null when there is no memory.
napi_value call_aligned_alloc(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  ArenaScope scope(environment);
  return give_out(env, environment, environment->core->allocate_aligned(bytes_of(mailbox[0]), bytes_of(mailbox[1])));
}

// In: the block, bytes (not 0). Out: the block in its new size, null when there is no memory.
napi_value call_realloc(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  void* result = nullptr;
  size_t bytes = bytes_of(mailbox[1]);
  if (bytes == 0) bytes = 1;
  ArenaScope scope(environment);
  Misuse misuse = environment->core->reallocate(pointer_of(mailbox[0]), bytes, &result);
  mailbox[0] = word_of(result);
  return misuse_value(env, misuse);
}

// In: the block.
napi_value call_free(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  Misuse misuse = Misuse::kNone;
  {
    ArenaScope scope(environment);
    misuse = environment->core->deallocate(pointer_of(environment->mailbox[0]));
  }
  return misuse_value(env, misuse);
}

// The stretch that has all of a block, as its first address; 0 when there is none.
double stretch_of(const Block& block, uint64_t stretch_bytes) {
  auto start = reinterpret_cast<uint64_t>(block.start);
  uint64_t stretch = start / stretch_bytes;
  if (is_mapping(block) || (start + block.usable_bytes - 1) / stretch_bytes != stretch) return 0;
  return static_cast<double>(stretch * stretch_bytes);
}

// In: any pointer. Out, all as quantities, where it points into a live block: the block's first address, its usable
// bytes, the pointer itself, and the first address of the stretch that has all of the block (0: there is none). Where
// it does not: 0.
napi_value call_locate(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  const void* ptr = pointer_of(mailbox[0]);
  Block block;
  Misuse misuse = environment->core->locate(ptr, &block);
  mailbox[0].number = number_of(block.start);
  if (block.start == nullptr) return misuse_value(env, misuse);
  mailbox[1].number = static_cast<double>(block.usable_bytes);
  mailbox[2].number = number_of(ptr);
  // A hardened process has guards in its stretches: no buffer is over a whole one.
  bool is_shared = environment->core->policies() == 0;
  mailbox[3].number = is_shared ? stretch_of(block, environment->core->stretch_bytes) : 0;
  return misuse_value(env, misuse);
}

}  // namespace

void define_heap_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "malloc", call_malloc, environment);
  define_function(exports, "calloc", call_calloc, environment);
  define_function(exports, "alignedAlloc", call_aligned_alloc, environment);
  define_function(exports, "realloc", call_realloc, environment);
  define_function(exports, "free", call_free, environment);
  define_function(exports, "locate", call_locate, environment);
}

}  // namespace pagerun::node
