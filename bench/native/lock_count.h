// How often the allocator took a lock that its threads share, if it can tell: pagerun's preload library can.
// Thread rule: one thread, while no measured work runs.
#pragma once

#include <dlfcn.h>
#include <stdint.h>

namespace pagerun::bench {

class LockCount {
 public:
  /// Counting goes on between start() and stop(), any number of times.
  void start() { started_ = now(); }
  void stop() { taken_ += now() - started_; }

  bool is_known() const { return read_ != nullptr; }
  uint64_t taken() const { return taken_; }

 private:
  using Read = unsigned long long (*)();

  uint64_t now() const { return read_ == nullptr ? 0 : read_(); }

  const Read read_ = reinterpret_cast<Read>(dlsym(RTLD_DEFAULT, "pagerun_lock_acquisitions"));
  uint64_t started_ = 0;
  uint64_t taken_ = 0;
};

}  // namespace pagerun::bench
