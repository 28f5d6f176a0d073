// A library that is opened and closed many times: constructors, thread-local and static memory, exceptions, threads.
// Owns what it allocates between `plugin_open` and `plugin_close`. Thread rule: as the host calls it.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

std::map<int, std::string> at_load = [] {
  std::map<int, std::string> texts;
  for (int i = 0; i < 500; ++i) texts[i] = std::string(static_cast<size_t>(i), 'p');
  return texts;
}();

thread_local std::vector<std::string> own_to_thread;

struct State {
  std::vector<std::unique_ptr<std::string>> texts;
};

}  // namespace

extern "C" void* plugin_open(int count) {
  auto* state = new State;
  for (int i = 0; i < count; ++i)
    state->texts.push_back(std::make_unique<std::string>(static_cast<size_t>(i * 3), 'x'));
  return state;
}

// A block that the host frees.
extern "C" char* plugin_text(void* state, int index) {
  const std::string& text = *static_cast<State*>(state)->texts.at(static_cast<size_t>(index));
  char* copy = static_cast<char*>(malloc(text.size() + 1));
  memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

extern "C" int plugin_throws(void* state, int index) {
  try {
    return static_cast<int>(static_cast<State*>(state)->texts.at(static_cast<size_t>(index))->size());
  } catch (const std::out_of_range&) {
    return -1;
  }
}

extern "C" size_t plugin_in_threads(int threads) {
  std::vector<std::thread> running;
  std::vector<size_t> sums(static_cast<size_t>(threads));
  for (size_t i = 0; i < sums.size(); ++i) {
    running.emplace_back([&sums, i] {
      for (int j = 0; j < 300; ++j) own_to_thread.emplace_back(static_cast<size_t>(j % 90), 't');
      for (const std::string& text : own_to_thread) sums[i] += text.size();
    });
  }
  size_t sum = at_load[499].size();
  for (size_t i = 0; i < sums.size(); ++i) {
    running[i].join();
    sum += sums[i];
  }
  return sum;
}

extern "C" void plugin_close(void* state) { delete static_cast<State*>(state); }
