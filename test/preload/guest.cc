// The same in C++: static objects that allocate, and a thread_local one whose destructor frees.
#include <cstdlib>
#include <map>
#include <string>

namespace {

struct Kept {
  std::map<int, std::string> texts;
  Kept() {
    for (int i = 0; i < 50; i++) texts[i] = std::string(static_cast<size_t>(i) * 20, 'x');
  }
};
Kept kept;

struct OfThread {
  std::string text = std::string(200, 'y');
  std::string* another = new std::string(300, 'z');
  ~OfThread() { delete another; }
};
thread_local OfThread of_thread;

}  // namespace

extern "C" void* guest_take(size_t bytes) {
  of_thread.text += kept.texts[7];
  return malloc(bytes);
}
extern "C" void guest_give(void* block) { free(block); }
