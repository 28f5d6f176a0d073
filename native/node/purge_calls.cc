// Memory that goes back to the system at the program's word. Owns nothing. Thread rule: any thread.
#include "calls.h"

namespace pagerun::node {

namespace {

// In: 1 for all, 0 for what has rested. Out: bytes given back.
napi_value call_purge(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  MailboxWord* mailbox = environment->mailbox;
  bool force = mailbox[0].number != 0;
  // The environment's arena is not the thread's: when all is to go, each of the two in its turn. What has rested is
  // seen by one look.
  size_t bytes = force ? environment->core->purge(force, 0) : 0;
  {
    ArenaScope scope(environment);
    bytes += environment->core->purge(force, 0);
  }
  mailbox[0].number = static_cast<double>(bytes);
  return nullptr;
}

// In: bytes; 0 for no budget.
napi_value call_set_budget(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  environment->core->set_budget(bytes_of(environment->mailbox[0]));
  return nullptr;
}

}  // namespace

void define_purge_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "purge", call_purge, environment);
  define_function(exports, "setBudget", call_set_budget, environment);
}

}  // namespace pagerun::node
