// Threads for tests: start some, let them begin at the same moment, pass blocks between them.
// Owns nothing but what its objects own. Thread rule: as told at each.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "harness.h"

namespace harness {

/// Runs body(i) on `count` threads, i = 0 .. count-1, and waits for all.
template <class Body>
void on_threads(size_t count, Body body) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; i++) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

/// Runs the body on another thread and waits for its end.
template <class Body>
void on_other_thread(Body body) {
  std::thread(body).join();
}

/// Lets `count` threads wait for each other, again and again. Any thread.
class Barrier {
 public:
  explicit Barrier(size_t count) : count_(count) {}

  void wait() {
    size_t round = round_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
      waiting_.store(0, std::memory_order_relaxed);
      round_.fetch_add(1, std::memory_order_acq_rel);
      return;
    }
    while (round_.load(std::memory_order_acquire) == round) std::this_thread::yield();
  }

 private:
  size_t count_;
  std::atomic<size_t> waiting_{0};
  std::atomic<size_t> round_{0};
};

/// Hands values from thread to thread in order; waits when empty or full. Any thread.
template <class T>
class Channel {
 public:
  explicit Channel(size_t most) : most_(most) {}

  void send(T value) {
    std::unique_lock<std::mutex> lock(mutex_);
    has_room_.wait(lock, [this] { return values_.size() < most_; });
    values_.push_back(value);
    has_value_.notify_one();
  }

  /// False when the channel is closed and empty.
  bool receive(T* value) {
    std::unique_lock<std::mutex> lock(mutex_);
    has_value_.wait(lock, [this] { return !values_.empty() || is_closed_; });
    if (values_.empty()) return false;
    *value = values_.back();
    values_.pop_back();
    has_room_.notify_one();
    return true;
  }

  void close() {
    std::lock_guard<std::mutex> lock(mutex_);
    is_closed_ = true;
    has_value_.notify_all();
  }

 private:
  size_t most_;
  bool is_closed_ = false;
  std::vector<T> values_;
  std::mutex mutex_;
  std::condition_variable has_room_, has_value_;
};

}  // namespace harness
