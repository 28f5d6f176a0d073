#include "arena_handles.h"

#include <cstring>
#include <new>

#include "environment.h"
#include "external_buffer.h"

namespace pagerun::node {

namespace {

// Deno ends the process where a hook makes a handle. It needs none: the finalizers of moved memory wait for its end.
bool can_look_at_end(napi_env env) {
  const napi_node_version* version = nullptr;
  return napi_get_node_version(env, &version) == napi_ok && strcmp(version->release, "Deno") != 0;
}

}  // namespace

ArenaHandles::ArenaHandles(napi_env env) : env_(env), may_hook_(can_look_at_end(env)) {}

ArenaHandles::Handle* ArenaHandles::handle_of(double number) {
  if (!(number >= 1)) return nullptr;
  auto index =
      static_cast<size_t>(number - kIndexRange * static_cast<double>(static_cast<uint64_t>(number / kIndexRange)));
  return index < handles_.size() && handles_[index].number == number ? &handles_[index] : nullptr;
}

double ArenaHandles::add(MadeArena* arena) {
  size_t index = handles_.size();
  if (free_handles_.empty()) {
    handles_.emplace_back();
  } else {
    index = free_handles_.back();
    free_handles_.pop_back();
  }
  Handle& handle = handles_[index];
  handle.number = ++count_ * kIndexRange + static_cast<double>(index);
  handle.arena = arena;
  handle.is_dropped = false;
  return handle.number;
}

napi_value ArenaHandles::make_buffer(double number, const ArenaMemory& memory, size_t offset, size_t bytes) {
  Handle* handle = handle_of(number);
  auto* buffer = new (std::nothrow) ArenaBuffer{memory, this, static_cast<size_t>(handle - handles_.data())};
  if (buffer == nullptr) return nullptr;
  if (!core()->arena_pin(memory)) {
    delete buffer;
    return nullptr;
  }
  napi_value value = external_buffer(env_, memory.start + offset, bytes, memory_finalizer, buffer);
  if (value == nullptr) {
    core()->arena_unpin(memory);
    delete buffer;
    return nullptr;
  }
  handle->buffers.push(buffer);
  napi_create_reference(env_, value, 0, &buffer->reference);
  // Hooks run last first: this one has to see the ArrayBuffer before the runtime's own, which detaches it.
  if (has_hook_) napi_remove_env_cleanup_hook(env_, before_end, this);
  has_hook_ = may_hook_ && napi_add_env_cleanup_hook(env_, before_end, this) == napi_ok;
  return value;
}

napi_value ArenaHandles::value_of(const ArenaBuffer& buffer) const {
  napi_value value = nullptr;
  return napi_get_reference_value(env_, buffer.reference, &value) == napi_ok ? value : nullptr;
}

// True when the ArrayBuffer had the memory, and nobody has it now.
bool ArenaHandles::detach(const ArenaBuffer& buffer) const {
  napi_value value = value_of(buffer);
  bool is_detached = true;
  if (value == nullptr || napi_is_detached_arraybuffer(env_, value, &is_detached) != napi_ok) return false;
  return !is_detached && napi_detach_arraybuffer(env_, value) == napi_ok;
}

// What could be reached no longer can, or is pinned until it cannot. The buffer may be gone then: some runtimes call
// the finalizer of memory while they detach it.
void ArenaHandles::end(ArenaBuffer* buffer) {
  if (buffer->is_ended) return;
  ArenaMemory memory = buffer->memory;
  buffer->is_ended = true;
  if (detach(*buffer)) {
    core()->arena_unpin(memory);
  } else {
    buffer->is_ended = false;
  }
}

void ArenaHandles::end_buffers(double number, const void* start) {
  ArenaBuffer* next = nullptr;
  for (ArenaBuffer* buffer = handle_of(number)->buffers.first(); buffer != nullptr; buffer = next) {
    next = buffer->next;
    if (buffer->memory.start == start) end(buffer);
  }
}

void ArenaHandles::leave_all(Handle* handle) {
  while (ArenaBuffer* buffer = handle->buffers.pop()) {
    buffer->is_left = true;
    left_.push(buffer);
    end(buffer);
  }
}

void ArenaHandles::reset(double number) {
  Handle* handle = handle_of(number);
  leave_all(handle);
  core()->arena_reset(handle->arena);
}

void ArenaHandles::destroy(double number) {
  Handle* handle = handle_of(number);
  leave_all(handle);
  close(handle);
}

void ArenaHandles::close(Handle* handle) {
  core()->arena_destroy(handle->arena);
  handle->number = 0;
  handle->arena = nullptr;
  free_handles_.push_back(static_cast<size_t>(handle - handles_.data()));
}

void ArenaHandles::drop(double number) {
  Handle* handle = handle_of(number);
  handle->is_dropped = true;
  end_if_unused(handle);
}

void ArenaHandles::end_if_unused(Handle* handle) {
  if (handle->is_dropped && handle->buffers.is_empty()) close(handle);
}

void ArenaHandles::memory_finalizer(napi_env env, void* /*address*/, void* data) {
  auto* buffer = static_cast<ArenaBuffer*>(data);
  ArenaHandles* self = buffer->owner;
  if (!buffer->is_ended && !buffer->is_foreign) core()->arena_unpin(buffer->memory);
  if (self != nullptr) {
    napi_delete_reference(env, buffer->reference);
    self->forget(buffer);
  }
  delete buffer;
}

void ArenaHandles::forget(ArenaBuffer* buffer) {
  if (buffer->is_left) {
    left_.remove(buffer);
  } else {
    Handle* handle = &handles_[buffer->index];
    handle->buffers.remove(buffer);
    end_if_unused(handle);
  }
}

// The environment is about to end, and every ArrayBuffer of it. One that has lost its memory before has lost it to
// another ArrayBuffer, which may belong to another thread by now.
void ArenaHandles::judge(const List<ArenaBuffer>& buffers) const {
  for (ArenaBuffer* buffer = buffers.first(); buffer != nullptr; buffer = buffer->next) {
    bool is_detached = true;
    napi_value value = value_of(*buffer);
    if (value != nullptr) napi_is_detached_arraybuffer(env_, value, &is_detached);
    buffer->is_foreign = !buffer->is_ended && is_detached;
  }
}

void ArenaHandles::before_end(void* data) {
  auto* self = static_cast<ArenaHandles*>(data);
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(self->env_, &scope) != napi_ok) return;
  self->judge(self->left_);
  for (const Handle& handle : self->handles_) self->judge(handle.buffers);
  napi_close_handle_scope(self->env_, scope);
}

// What ArrayBuffers are left here belong to another environment, where their memory stays pinned, or to a runtime that
// calls their finalizers later.
ArenaHandles::~ArenaHandles() {
  for (Handle& handle : handles_) {
    while (ArenaBuffer* buffer = handle.buffers.pop()) buffer->owner = nullptr;
    if (handle.arena != nullptr) core()->arena_destroy(handle.arena);
  }
  while (ArenaBuffer* buffer = left_.pop()) buffer->owner = nullptr;
}

}  // namespace pagerun::node
