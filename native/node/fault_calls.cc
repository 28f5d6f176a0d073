// Makes system calls of the core fail, for tests. Owns nothing. Thread rule: any thread, but the count is the
// process's.
#include "calls.h"

namespace pagerun::node {

namespace {

// Argument: n, the number of the system call from now on that shall fail; 0 switches it off.
Napi::Value call_fail_system_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsNumber()) {
    Napi::TypeError::New(env, "Expected a number for n").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  int64_t n = info[0].As<Napi::Number>().Int64Value();
  core()->fail_system_call(n > 0 ? static_cast<uint64_t>(n) : 0);
  return env.Undefined();
}

Napi::Value call_system_calls(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(core()->system_calls()));
}

}  // namespace

void define_fault_calls(Napi::Object exports) {
  Napi::Env env = exports.Env();
  exports.Set("failSystemCall", Napi::Function::New(env, call_fail_system_call, "failSystemCall"));
  exports.Set("systemCalls", Napi::Function::New(env, call_system_calls, "systemCalls"));
}

}  // namespace pagerun::node
