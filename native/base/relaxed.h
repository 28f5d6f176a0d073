// Plain words that one thread writes and others may look at (snapshot, verify, a late look at a header): relaxed atomic
// access, which costs what a plain access costs. No order is implied; whoever needs one says so at its own atomic.
#pragma once

#include <type_traits>

namespace pagerun {

template <class T>
inline T load_relaxed(const T& from) {
  T value;
  __atomic_load(&from, &value, __ATOMIC_RELAXED);
  return value;
}

template <class T>
inline void store_relaxed(T& to, std::type_identity_t<T> value) {
  __atomic_store(&to, &value, __ATOMIC_RELAXED);
}

// The fast paths' own words: written by one thread alone, which reads and writes them as plain memory, so that the
// compiler may use them as operands; others only look. ThreadSanitizer is told that this is meant.
#ifdef __SANITIZE_THREAD__
template <class T>
inline void store_owned(T& to, std::type_identity_t<T> value) {
  store_relaxed(to, value);
}
template <class T>
inline T load_shared(const T& from) {
  return load_relaxed(from);
}
#else
template <class T>
inline void store_owned(T& to, std::type_identity_t<T> value) {
  to = value;
}
template <class T>
inline T load_shared(const T& from) {
  return from;
}
#endif

}  // namespace pagerun
