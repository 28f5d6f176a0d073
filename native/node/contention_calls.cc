// measureContention: threads on the textbook's arenas, for the lesson. Owns nothing; the measurement is
// native/textbook/contention.h. Thread rule: the calling thread is busy until it ends.
#include "../textbook/contention.h"
#include "calls.h"

namespace pagerun::node {

namespace {

constexpr uint32_t kMostMilliseconds = 60'000;

uint32_t number_at(const Napi::CallbackInfo& info, size_t index) {
  return info[index].IsNumber() ? info[index].As<Napi::Number>().Uint32Value() : UINT32_MAX;
}

/// In: threads, arenas, number of the choice, number of the lock, milliseconds. Undefined when one is out of its range,
/// or the system has no memory or threads.
Napi::Value call_measure_contention(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const uint32_t choice = number_at(info, 2);
  const uint32_t lock = number_at(info, 3);
  const uint32_t milliseconds = number_at(info, 4);
  if (choice > static_cast<uint32_t>(textbook::Choice::kLeastContended) ||
      lock > static_cast<uint32_t>(textbook::LockKind::kTicket) || milliseconds > kMostMilliseconds) {
    return env.Undefined();
  }
  textbook::ContentionPlan plan;
  plan.threads = number_at(info, 0);
  plan.arenas = number_at(info, 1);
  plan.choice = static_cast<textbook::Choice>(choice);
  plan.lock = static_cast<textbook::LockKind>(lock);
  plan.milliseconds = milliseconds;
  textbook::ContentionResult result;
  if (!textbook::measure_contention(plan, &result)) return env.Undefined();
  Napi::Object sums = Napi::Object::New(env);
  sums.Set("seconds", result.seconds);
  sums.Set("operations", static_cast<double>(result.operations));
  sums.Set("takes", static_cast<double>(result.takes));
  sums.Set("waits", static_cast<double>(result.waits));
  sums.Set("waitedSeconds", result.waited_seconds);
  return sums;
}

}  // namespace

void define_contention_calls(Napi::Object exports) {
  exports.Set("measureContention", Napi::Function::New(exports.Env(), call_measure_contention, "measureContention"));
}

}  // namespace pagerun::node
