// host <plugin> <rounds>: opens and closes the plugin again and again, uses it from several threads, and frees on each
// side what the other has allocated. Prints what it saw. Owns nothing between rounds.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

void* library = nullptr;

template <typename Function>
Function* symbol(const char* name) {
  void* found = dlsym(library, name);
  if (found == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return reinterpret_cast<Function*>(found);
}

size_t use(int round) {
  void* state = symbol<void*(int)>("plugin_open")(200);
  size_t sum = 0;
  for (int i = 0; i < 200; i += 7) {
    char* text = symbol<char*(void*, int)>("plugin_text")(state, i);
    sum += strlen(text);
    free(text);
  }
  if (symbol<int(void*, int)>("plugin_throws")(state, 1000) != -1) abort();
  if (round % 10 == 0) sum += symbol<size_t(int)>("plugin_in_threads")(4);
  symbol<void(void*)>("plugin_close")(state);
  return sum;
}

// Threads of the host that have the library's thread-local memory when it goes.
size_t use_in_threads() {
  std::vector<std::thread> running;
  std::vector<size_t> sums(4);
  for (size_t i = 0; i < sums.size(); ++i) running.emplace_back([&sums, i] { sums[i] = use(0); });
  size_t sum = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    running[i].join();
    sum += sums[i];
  }
  return sum;
}

}  // namespace

int main(int, char** arguments) {
  size_t sum = 0;
  int rounds = atoi(arguments[2]);
  for (int round = 0; round < rounds; ++round) {
    library = dlopen(arguments[1], round % 2 == 0 ? RTLD_NOW : RTLD_LAZY);
    if (library == nullptr) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    sum += use(round);
    if (round % 20 == 0) sum += use_in_threads();
    if (dlclose(library) != 0) return 1;
  }
  printf("%d rounds: %zu\n", rounds, sum);
  return 0;
}
