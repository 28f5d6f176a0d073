// Leaves errno as it was: free() must, and malloc sets it only when it fails as a whole. Owns nothing. Thread rule:
// each thread's errno is its own.
#pragma once

#include <cerrno>

namespace pagerun::os {

class ErrnoKeeper {
 public:
  ErrnoKeeper() : saved_(errno) {}
  ~ErrnoKeeper() { errno = saved_; }
  ErrnoKeeper(const ErrnoKeeper&) = delete;
  ErrnoKeeper& operator=(const ErrnoKeeper&) = delete;

 private:
  int saved_;
};

}  // namespace pagerun::os
