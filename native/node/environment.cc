#include "environment.h"

namespace pagerun::node {

const CoreApi* core() {
  static const CoreApi* const kCore = core_api_find();
  return kCore;
}

Environment::Environment(Napi::Env env)
    : core(node::core()), arena(core->arena_open()), blocks(env, this), arenas(env) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, (kMailboxWords + kReachedWords) * sizeof(MailboxWord));
  mailbox = static_cast<MailboxWord*>(buffer.Data());
  mailbox_buffer = Napi::Persistent(buffer);
}

Environment::~Environment() {
  blocks.free_all();
  if (arena != nullptr) core->arena_close(arena);
}

void define_function(Napi::Object exports, const char* name, napi_callback function, Environment* environment) {
  napi_value value = nullptr;
  if (napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, function, environment, &value) != napi_ok) return;
  exports.Set(name, value);
}

}  // namespace pagerun::node
