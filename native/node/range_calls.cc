// OS pages that programs map for themselves: mapping, protection, advice, and ArrayBuffers over them.
// Owns what keeps a range while an ArrayBuffer may reach it. Thread rule: each environment on its own thread; the
// finalizers run there too.
//
// An ArrayBuffer over a range is one view and two pins of it, as native/node/buffer_calls.cc tells for mappings. The
// view ends at once when the ArrayBuffer is detached here: nothing of JavaScript can reach the memory any more.
// Detached by somebody else (transfer() moves the memory into another one), it ends with the memory's last ArrayBuffer.
#include <cstring>
#include <new>

#include "calls.h"
#include "external_buffer.h"
#include "held_range.h"

namespace pagerun::node {

namespace {

constexpr uint32_t kWantsHuge = 1, kWantsLock = 2, kWantsGuards = 4;

uint32_t index_of(MailboxWord word) { return static_cast<uint32_t>(bytes_of(word)); }

os::Protection protection_of(MailboxWord word) {
  uint32_t number = index_of(word);
  return number > static_cast<uint32_t>(os::Protection::kReadWrite) ? os::Protection::kNone
                                                                    : static_cast<os::Protection>(number);
}

// What a function returns: undefined for kDone, else the status's number.
napi_value status_value(napi_env env, RangeStatus status) {
  napi_value value = nullptr;
  if (status != RangeStatus::kDone) napi_create_uint32(env, static_cast<uint32_t>(status), &value);
  return value;
}

// In: bytes, protection, wishes (kWantsHuge ...). Out: the range's first address.
napi_value call_map_pages(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  uint32_t wishes = index_of(mailbox[2]);
  RangeOptions options = {protection_of(mailbox[1]), (wishes & kWantsHuge) != 0, (wishes & kWantsLock) != 0,
                          (wishes & kWantsGuards) != 0};
  size_t bytes = bytes_of(mailbox[0]);
  void* start = nullptr;
  RangeStatus status = bytes == 0 ? RangeStatus::kOutOfBounds : core()->range_take(bytes, &options, &start);
  mailbox[0] = word_of(start);
  return status_value(env, status);
}

// In: the range's first address. Returns a misuse's number, or undefined.
napi_value call_unmap_pages(napi_env env, napi_callback_info info) {
  return misuse_value(env, core()->range_put(pointer_of(environment_of(env, info)->mailbox[0])));
}

// True for whole OS pages.
bool are_os_pages(const void* address, size_t bytes) {
  return bytes > 0 && (reinterpret_cast<uintptr_t>(address) | bytes) % kOsPageBytes == 0;
}

// In: an OS page's address, bytes of whole OS pages, protection.
napi_value call_protect_pages(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* address = pointer_of(mailbox[0]);
  size_t bytes = bytes_of(mailbox[1]);
  if (!are_os_pages(address, bytes)) return status_value(env, RangeStatus::kOutOfBounds);
  return status_value(env, core()->range_protect(address, bytes, protection_of(mailbox[2])));
}

// In: an OS page's address, bytes of whole OS pages, advice. Out: the kernel's error where it refused.
napi_value call_advise_pages(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* address = pointer_of(mailbox[0]);
  size_t bytes = bytes_of(mailbox[1]);
  uint32_t advice = index_of(mailbox[2]);
  if (!are_os_pages(address, bytes) || advice >= os::kAdviceCount) return status_value(env, RangeStatus::kOutOfBounds);
  int error = 0;
  RangeStatus status = core()->range_advise(address, bytes, static_cast<os::Advice>(advice), &error);
  mailbox[0].number = error;
  return status_value(env, status);
}

// Argument: a Uint8Array, a byte for every OS page. In: the first one's address. Out: the kernel's error, or 0.
napi_value call_resident_pages(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1, length = 0;
  void* data = nullptr;
  void* bytes = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  MailboxWord* mailbox = static_cast<Environment*>(data)->mailbox;
  napi_typedarray_type type = napi_float64_array;
  napi_status status = napi_get_typedarray_info(env, argument, &type, &length, &bytes, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array) length = 0;
  int error = 0;
  if (length > 0)
    error = core()->find_resident(pointer_of(mailbox[0]), length * kOsPageBytes, static_cast<uint8_t*>(bytes));
  mailbox[0].number = error;
  return nullptr;
}

// In: any pointer. Out, all as quantities, where it points into a range: first address, bytes, the pointer itself,
// views. Where it does not: 0.
napi_value call_locate_range(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  Range range = {};
  if (!core()->range_find(ptr, &range)) range = {};
  mailbox[0].number = number_of(range.address);
  mailbox[1].number = static_cast<double>(range.bytes);
  mailbox[2].number = number_of(ptr);
  mailbox[3].number = range.views;
  return nullptr;
}

// Out: bytes that the process may lock, infinite where there is no limit.
napi_value call_lock_limit(napi_env env, napi_callback_info info) {
  size_t limit = core()->lock_limit();
  environment_of(env, info)->mailbox[0].number = limit == SIZE_MAX ? __builtin_huge_val() : static_cast<double>(limit);
  return nullptr;
}

// What a detached ArrayBuffer costs until it is collected, as the collector is told: it keeps address space, and a
// process may not have many ranges. Without that, nothing would make it run.
constexpr int64_t kEndedBufferBytes = 64 << 10;

// What is known of one ArrayBuffer, until both its finalizers have run.
struct RangeBuffer {
  void* start;
  uint32_t finalizers;
  bool has_view;
  bool is_ended;  // detached here
};

void tell_collector(napi_env env, int64_t bytes) {
  int64_t total = 0;
  napi_adjust_external_memory(env, bytes, &total);
}

void let_view_go(RangeBuffer* buffer) {
  if (buffer->has_view) core()->range_let_view_go(buffer->start);
  buffer->has_view = false;
}

void unpin(RangeBuffer* buffer) {
  core()->range_unpin(buffer->start);
  if (--buffer->finalizers == 0) delete buffer;
}

void object_gone(napi_env env, void* data, void* /*hint*/) {
  auto* buffer = static_cast<RangeBuffer*>(data);
  if (buffer->is_ended) tell_collector(env, -kEndedBufferBytes);
  unpin(buffer);
}

void memory_gone(napi_env /*env*/, void* /*data*/, void* hint) {
  auto* buffer = static_cast<RangeBuffer*>(hint);
  let_view_go(buffer);
  unpin(buffer);
}

// The part of the readable and writable OS pages round `ptr` that a buffer shall cover: all, or from `ptr` on as much
// as one may be long. False when the bytes are not all in it.
bool find_buffer_part(void* ptr, size_t bytes, size_t most_bytes, RangePart* part) {
  if (!core()->range_find_allowing(ptr, os::Protection::kReadWrite, part)) return false;
  if (part->bytes > most_bytes) {
    auto* at = static_cast<char*>(ptr);
    auto rest = static_cast<size_t>(part->address + part->bytes - at);
    *part = {at, rest < most_bytes ? rest : most_bytes, part->protection};
  }
  auto offset = static_cast<size_t>(static_cast<char*>(ptr) - part->address);
  return bytes <= part->bytes - offset;
}

// In: a pointer into a range, bytes, the most that a buffer may have. Returns an ArrayBuffer that has these bytes and
// what is readable and writable round them, null where the runtime refuses it, undefined where there are no such OS
// pages. Out: its first address and length.
napi_value call_range_buffer(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  RangePart part = {};
  HeldRange held;
  if (!find_buffer_part(ptr, bytes_of(mailbox[1]), bytes_of(mailbox[2]), &part)) return nullptr;
  if (!held.hold(part.address, part.bytes, os::Protection::kReadWrite)) return nullptr;  // another thread was faster
  auto* record = new (std::nothrow) RangeBuffer{part.address, 1, true, false};
  if (record == nullptr) return buffer_or_null(env, nullptr);
  napi_value buffer = external_buffer(env, part.address, part.bytes, memory_gone, record);
  if (buffer == nullptr) {
    delete record;
    return buffer_or_null(env, nullptr);
  }
  held.give_up();
  core()->range_pin(part.address);
  record->finalizers++;
  if (napi_wrap(env, buffer, record, object_gone, nullptr, nullptr) != napi_ok) unpin(record);
  mailbox[0].number = number_of(part.address);
  mailbox[1].number = static_cast<double>(part.bytes);
  return buffer;
}

// Argument: an ArrayBuffer made by rangeBuffer. Detaches it: every view of it has length 0. Returns true, or undefined
// when somebody else has detached it, so that its memory may still be reached.
napi_value call_end_range_buffer(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  void* record = nullptr;
  bool is_detached = true;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (napi_unwrap(env, argument, &record) != napi_ok) return nullptr;
  if (napi_is_detached_arraybuffer(env, argument, &is_detached) != napi_ok || is_detached) return nullptr;
  if (napi_detach_arraybuffer(env, argument) != napi_ok) return nullptr;
  auto* buffer = static_cast<RangeBuffer*>(record);
  let_view_go(buffer);
  buffer->is_ended = true;
  tell_collector(env, kEndedBufferBytes);
  napi_value ended = nullptr;
  napi_get_boolean(env, true, &ended);
  return ended;
}

}  // namespace

void define_range_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "mapPages", call_map_pages, environment);
  define_function(exports, "unmapPages", call_unmap_pages, environment);
  define_function(exports, "protectPages", call_protect_pages, environment);
  define_function(exports, "advisePages", call_advise_pages, environment);
  define_function(exports, "residentPages", call_resident_pages, environment);
  define_function(exports, "locateRange", call_locate_range, environment);
  define_function(exports, "lockLimit", call_lock_limit, environment);
  define_function(exports, "rangeBuffer", call_range_buffer, environment);
  define_function(exports, "endRangeBuffer", call_end_range_buffer, environment);
  exports.Set("osPageBytes", static_cast<double>(kOsPageBytes));
}

}  // namespace pagerun::node
