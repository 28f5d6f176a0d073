// Single values in memory, and what TypeScript needs to reach them without a call: the words that say whether a block
// is still live. Owns nothing. Thread rule: any thread; a block that another thread frees meanwhile stays readable
// until the call ends.
#include <cstring>

#include "bytes_at.h"
#include "calls.h"

namespace pagerun::node {

namespace {

constexpr size_t kNumbersPerWord = 4;

static_assert(kWatchedWords * kNumbersPerWord <= kMailboxWords);

// In: a pointer. Out, for each word that says whether the block is live: first address of its window, index, mask,
// value; mask and value as signed numbers of 32 bits. The first address is 0 where there are no such words.
napi_value call_watch(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  Watch watch;
  bool is_watched = environment->core->watch(pointer_of(mailbox[0]), &watch);
  mailbox[0].number = 0;
  if (!is_watched) return nullptr;
  MailboxWord* out = mailbox;
  for (const WatchedWord& word : watch.words) {
    out[0].number = number_of(word.window);
    out[1].number = word.index;
    out[2].number = static_cast<int32_t>(word.mask);
    out[3].number = static_cast<int32_t>(word.value);
    out += kNumbersPerWord;
  }
  return nullptr;
}

// The value's place, `offset` bytes behind the pointer; null when it may not be touched. Both lie in the same block.
template <Trust trust>
char* value_at(const MailboxWord* mailbox, BytesAt<trust>* held, os::Protection protection) {
  char* ptr = static_cast<char*>(pointer_of(mailbox[0]));
  size_t offset = bytes_of(mailbox[1]), bytes = bytes_of(mailbox[2]);
  bool is_value = bytes <= sizeof(MailboxWord) && offset <= SIZE_MAX - bytes;
  return is_value && held->hold(ptr, offset + bytes, protection) ? ptr + offset : nullptr;
}

// In: a pointer, an offset, bytes (at most a word). Out: these bytes, the first ones of word 0. Returns true, or
// undefined when they are not in the pointer's live block.
template <Trust trust>
napi_value call_read(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  BytesAt<trust> held;
  const char* value = value_at(mailbox, &held, kToRead);
  if (value == nullptr) return nullptr;
  memcpy(mailbox, value, bytes_of(mailbox[2]));
  return done(env);
}

// In: a pointer, an offset, bytes (at most a word), and the bytes themselves, the first ones of word 3. Returns true,
// or undefined when they are not in the pointer's live block: nothing was written.
template <Trust trust>
napi_value call_write(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  BytesAt<trust> held;
  char* value = value_at(mailbox, &held, kToWrite);
  if (value == nullptr) return nullptr;
  memcpy(value, mailbox + 3, bytes_of(mailbox[2]));
  return done(env);
}

}  // namespace

void define_access_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "watch", call_watch, environment);
  define_function(exports, "read", call_read<Trust::kChecked>, environment);
  define_function(exports, "write", call_write<Trust::kChecked>, environment);
  define_function(exports, "uncheckedRead", call_read<Trust::kUnchecked>, environment);
  define_function(exports, "uncheckedWrite", call_write<Trust::kUnchecked>, environment);
}

}  // namespace pagerun::node
