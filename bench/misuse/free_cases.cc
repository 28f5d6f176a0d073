// Wrong pointers and sizes given to free, realloc, malloc_usable_size and delete. Each ends the program where the
// allocator notices; what comes of it where it does not is looked at afterwards.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "case.h"

namespace pagerun::misuse {
namespace {

constexpr size_t kSmall = 40, kMiddle = 20000, kLarge = 1 << 20, kHuge = 64 << 20;

// A block with neighbours that stay, so that its page is not given back.
char* block_among_others(size_t bytes) {
  char* blocks[5];
  for (char*& block : blocks) {
    block = static_cast<char*>(take(bytes));
    require(block != nullptr, "malloc returns a block");
  }
  return blocks[2];
}

void give_twice(size_t bytes) {
  auto* kept = static_cast<char*>(take(bytes));
  auto* block = static_cast<char*>(take(bytes));
  hold(kept, bytes);
  give(block);
  give(block);
}

void* aligned(size_t alignment, size_t bytes) {
  void* ptr = nullptr;
  require(posix_memalign(&ptr, alignment, bytes) == 0, "posix_memalign returns a block");
  return ptr;
}

void* at(uint64_t address) { return reinterpret_cast<void*>(address); }

void give_argument(void* ptr) { give(ptr); }
void take_small_into(void* place) { *static_cast<void**>(place) = take(kSmall); }

// Blocks of sizes that no case frees twice come and go.
void churn(size_t rounds) {
  constexpr size_t kSizes[] = {200, 300, 700, 1500, 3000, 9000};
  for (size_t i = 0; i < rounds; i++) {
    void* blocks[6];
    for (size_t k = 0; k < 6; k++) blocks[k] = take(kSizes[k]);
    for (void* block : blocks) give(block);
  }
}

void double_free_after_others() {
  void* blocks[100];
  for (void*& block : blocks) block = take(kSmall);
  for (int i = 10; i < 90; i++) give(blocks[i]);
  give(blocks[50]);
}

void double_free_after_churn() {
  char* block = block_among_others(kSmall);
  give(block);
  churn(3000);
  give(block);
}

void double_free_elsewhere() {
  void* block = block_among_others(kSmall);
  give(block);
  on_other_thread(give_argument, block);
}

void double_free_by_owner() {
  void* block = block_among_others(kSmall);
  on_other_thread(give_argument, block);
  give(block);
}

void double_free_by_two_threads() {
  void* block = block_among_others(kSmall);
  on_other_thread(give_argument, block);
  on_other_thread(give_argument, block);
}

std::atomic<void*> given_at_once{nullptr};

void* give_at_once(void*) {
  for (;;) {
    void* block = given_at_once.exchange(nullptr);
    if (block == at(1)) return nullptr;
    if (block != nullptr) give(block);
  }
}

// Each of the two may find the block in use. It is not asked for again before the next turn.
void double_free_at_the_same_moment() {
  constexpr int kTurns = 200;
  static void* blocks[kTurns];
  for (void*& block : blocks) block = block_among_others(kSmall);
  pthread_t thread;
  require(pthread_create(&thread, nullptr, give_at_once, nullptr) == 0, "a thread can be made");
  for (void* block : blocks) {
    given_at_once = block;
    while (given_at_once != nullptr) continue;
    give(block);
  }
  given_at_once = at(1);
  pthread_join(thread, nullptr);
}

void double_free_of_ended_thread() {
  void* blocks[3];
  for (void*& block : blocks) on_other_thread(take_small_into, &block);
  give(blocks[1]);
  give(blocks[1]);
}

void double_free_in_child() {
  void* block = block_among_others(kSmall);
  give(block);
  pid_t child = fork();
  if (child == 0) {
    give(block);
    go_on();
    end_with("unharmed");
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) raise(WTERMSIG(status));
  _exit(0);
}

void double_free_of_resized_to_nothing() {
  void* block = block_among_others(kSmall);
  void* kept = resize(block, 0);
  if (kept != nullptr) end_without_call();
  give(block);
}

void free_of_moved() {
  void* block = block_among_others(kSmall);
  void* moved = resize(block, 100000);
  require(moved != nullptr && moved != block, "realloc moves a block that grows so much");
  give(block);
}

void free_of_moved_huge() {
  auto* block = static_cast<char*>(take(kHuge));
  void* wall = mmap(block + kHuge + 4096, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(wall != MAP_FAILED, "a wall can be mapped");
  void* moved = resize(block, 16 * kHuge);
  if (moved == block) end_without_call();
  give(block);
}

void resize_of_freed() {
  void* block = block_among_others(kSmall);
  give(block);
  void* again = resize(block, 100);
  if (again != nullptr) hold(again, 100);
}

void usable_size_of_freed() {
  void* block = block_among_others(kSmall);
  give(block);
  static_cast<void>(usable_size(block));
}

void free_tail_of_page() {
  auto* block = static_cast<char*>(take(9000));
  uintptr_t end = (reinterpret_cast<uintptr_t>(block) | 0x7fff) + 1;
  give(at(end - 16));
}

void free_inside_freed_large() {
  auto* block = static_cast<char*>(take(kLarge));
  take(kLarge);
  give(block);
  give(block + kLarge / 2);
}

void free_of_emptied_page() {
  constexpr int kBlocks = 3000;
  static void* blocks[kBlocks];
  for (void*& block : blocks) block = take(kSmall);
  void* wall = take(kLarge);
  for (void* block : blocks) give(block);
  churn(20);
  give(blocks[kBlocks / 2]);
  give(wall);
}

// A size field as glibc has it, before memory that is no heap's: the house of spirit.
void free_with_forged_size() {
  char* block = foreign_memory() + 64;
  uint64_t size = 0x41;
  memcpy(block - 8, &size, sizeof(size));
  memcpy(block - 8 + 64, &size, sizeof(size));
  give(block);
}

void free_of_other_process() {
  int ends[2];
  require(pipe(ends) == 0, "a pipe can be made");
  void* block = nullptr;
  pid_t child = fork();
  if (child == 0) {
    block = take(kHuge);
    _exit(write(ends[1], &block, sizeof(block)) == sizeof(block) ? 0 : 1);
  }
  require(read(ends[0], &block, sizeof(block)) == sizeof(block), "the child tells its block");
  waitpid(child, nullptr, 0);
  give(block);
}

// What lies on a stack where nobody has written: a pointer that was never set.
void free_of_uninitialised() {
  void* pointers[8];
  memset(pointers, 0xcc, sizeof(pointers));
  __asm__ volatile("" : : "r"(pointers) : "memory");
  give(pointers[3]);
}

void free_of_stack() {
  char local[256];
  memset(local, 0, sizeof(local));
  hold(local, sizeof(local));
  give(local + 64);
}

void resize_of_stack() {
  char local[256];
  memset(local, 0, sizeof(local));
  hold(local, sizeof(local));
  void* moved = resize(local + 64, 1000);
  if (moved != nullptr) hold(moved, 1000);
}

void free_of_mapping_of_own() {
  auto* mapped = static_cast<char*>(mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  hold(mapped, 65536);
  give(mapped + 4096);
}

void free_of_unmapped() {
  void* mapped = mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(mapped, 65536);
  give(mapped);
}

struct WithDestructor {
  ~WithDestructor() { value[0] = 0; }
  uint64_t value[3];
};

// delete of what new[] made: the array's count lies before its first element.
void delete_of_array() {
  WithDestructor* volatile array = new WithDestructor[5];
  unmake(array);
}

template <class Function>
Function call_named(const char* name) {
  auto function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  if (function == nullptr) end_without_call();
  return function;
}

void sized_delete(size_t asked, size_t told) {
  make(asked);
  void* block = make(asked);
  unmake_sized(block, told);
}

void free_sized_of(size_t asked, size_t told) {
  auto free_sized = call_named<void (*)(void*, size_t)>("free_sized");
  free_sized(take(asked), told);
}

void free_aligned_sized_of(size_t told_alignment, size_t told) {
  auto free_aligned_sized = call_named<void (*)(void*, size_t, size_t)>("free_aligned_sized");
  auto* block = static_cast<char*>(aligned(64, 64));
  if (reinterpret_cast<uintptr_t>(block) % told_alignment == 0) block = static_cast<char*>(aligned(64, 64));
  free_aligned_sized(block, told_alignment, told);
}

char* given_in_handler = nullptr;

void free_in_handler() {
  given_in_handler = block_among_others(240) + 16;
  signal(SIGUSR1, [](int) { give(given_in_handler); });
  raise(SIGUSR1);
}

constexpr Case kCases[] = {
    {"double-free-small", "a small block freed twice in a row", [] { give_twice(kSmall); }},
    {"double-free-of-nothing", "a block of 0 bytes freed twice", [] { give_twice(0); }},
    {"double-free-aligned", "an aligned block freed twice",
     [] {
       take(64);
       void* block = aligned(1024, 64);
       give(block);
       give(block);
     }},
    {"double-free-middle", "a block of 20,000 bytes freed twice", [] { give_twice(kMiddle); }},
    {"double-free-large", "a block of 1 MiB freed twice", [] { give_twice(kLarge); }},
    {"double-free-huge", "a block of 64 MiB freed twice", [] { give_twice(kHuge); }},
    {"double-free-later-of-many", "a block freed again after 80 others were freed", double_free_after_others},
    {"double-free-after-churn", "a block freed again after 18,000 blocks of other sizes came and went",
     double_free_after_churn},
    {"double-free-elsewhere", "a block freed by its thread, then by another", double_free_elsewhere},
    {"double-free-by-owner", "a block freed by another thread, then by its own", double_free_by_owner},
    {"double-free-by-two-threads", "a block freed by two other threads, one behind the other",
     double_free_by_two_threads},
    {"double-free-at-the-same-moment", "200 blocks, each freed by two threads at the same moment",
     double_free_at_the_same_moment},
    {"double-free-of-ended-thread", "a block of a thread that has ended freed twice", double_free_of_ended_thread},
    {"double-free-in-child", "a block freed, then freed again by a child process", double_free_in_child},
    {"double-free-by-realloc-0", "a block freed by realloc to 0 bytes, then by free",
     double_free_of_resized_to_nothing},
    {"double-delete", "a block deleted twice",
     [] {
       make(kSmall);
       void* block = make(kSmall);
       unmake(block);
       unmake(block);
     }},
    {"double-sized-delete", "a block deleted twice, with its size",
     [] {
       make(kSmall);
       void* block = make(kSmall);
       unmake_sized(block, kSmall);
       unmake_sized(block, kSmall);
     }},
    {"free-of-moved", "the pointer from before realloc moved the block", free_of_moved},
    {"free-of-moved-huge", "the same of a block of 64 MiB", free_of_moved_huge},
    {"realloc-of-freed", "realloc of a freed block", resize_of_freed},
    {"usable-size-of-freed", "malloc_usable_size of a freed block", usable_size_of_freed},
    {"free-unaligned", "a free of a block's second byte", [] { give(block_among_others(kSmall) + 1); }},
    {"free-interior", "a free of a block's 16th byte", [] { give(block_among_others(240) + 16); }},
    {"free-last-byte", "a free of a block's last byte", [] { give(block_among_others(240) + 239); }},
    {"free-interior-middle", "a free inside a block of 20,000 bytes", [] { give(block_among_others(kMiddle) + 4096); }},
    {"free-interior-large", "a free inside a block of 1 MiB", [] { give(block_among_others(kLarge) + 65536); }},
    {"free-interior-huge", "a free inside a block of 64 MiB",
     [] { give(static_cast<char*>(take(kHuge)) + (1 << 20)); }},
    {"free-interior-elsewhere", "a free of a block's 16th byte on another thread",
     [] { on_other_thread(give_argument, block_among_others(240) + 16); }},
    {"free-interior-in-handler", "a free of a block's 16th byte in a signal handler", free_in_handler},
    {"realloc-interior", "realloc of a block's 16th byte", [] { resize(block_among_others(240) + 16, 500); }},
    {"usable-size-interior", "malloc_usable_size of a block's 16th byte",
     [] { usable_size(block_among_others(240) + 16); }},
    {"delete-of-array", "delete of what new[] made", delete_of_array},
    {"free-tail-of-page", "a free behind the last block of a page", free_tail_of_page},
    {"free-inside-freed-large", "a free inside a large block that was freed", free_inside_freed_large},
    {"free-of-emptied-page", "a block freed again after its whole page was freed", free_of_emptied_page},
    {"free-stack", "a free of a local variable", free_of_stack},
    {"realloc-stack", "realloc of a local variable", resize_of_stack},
    {"free-static", "a free of a static variable",
     [] {
       static char variable[256];
       hold(variable, sizeof(variable));
       give(variable + 128);
     }},
    {"free-literal", "a free of a string literal", [] { give(const_cast<char*>("a literal in read-only memory")); }},
    {"free-code", "a free of a function", [] { give(reinterpret_cast<void*>(&free_of_stack)); }},
    {"free-mmap", "a free of memory that the program mapped itself", free_of_mapping_of_own},
    {"free-unmapped", "a free of memory that was unmapped", free_of_unmapped},
    {"free-1", "a free of the address 1", [] { give(at(1)); }},
    {"free-null-page", "a free of the address 16", [] { give(at(16)); }},
    {"free-minus-1", "a free of the address -1", [] { give(at(~0ull)); }},
    {"free-minus-16", "a free of the address -16", [] { give(at(~0ull - 15)); }},
    {"free-non-canonical", "a free of an address that no memory can have", [] { give(at(0x6bcd123456789ab0ull)); }},
    {"free-kernel", "a free of an address of the kernel", [] { give(at(0xffff888000001000ull)); }},
    {"realloc-wild", "realloc of an address that no memory can have", [] { resize(at(0x6bcd123456789ab0ull), 100); }},
    {"usable-size-wild", "malloc_usable_size of an address of the kernel",
     [] { usable_size(at(0xffff888000001000ull)); }},
    {"free-uninitialised", "a free of a pointer that was never set", free_of_uninitialised},
    {"free-forged-size", "a free of static memory with a size written before it", free_with_forged_size},
    {"free-of-other-process", "a free of an address that another process allocated", free_of_other_process},
    {"free-before-malloc-stack", "a free of a local variable by a thread that never called malloc",
     [] {
       static char here[64];
       on_other_thread(give_argument, here + 16);
     }},
    {"sized-delete-smaller", "delete of 512 bytes told to be 64", [] { sized_delete(512, 64); }},
    {"sized-delete-half", "delete of 128 bytes told to be 64", [] { sized_delete(128, 64); }},
    {"sized-delete-next-class", "delete of 64 bytes told to be 48", [] { sized_delete(64, 48); }},
    {"sized-delete-large-half", "delete of 1 MiB told to be 512 KiB", [] { sized_delete(1 << 20, 512 << 10); }},
    {"sized-delete-larger", "delete of 64 bytes told to be 512", [] { sized_delete(64, 512); }},
    {"sized-delete-large", "delete of 1 MiB told to be 64 bytes", [] { sized_delete(1 << 20, 64); }},
    {"free-sized-smaller", "free_sized of 512 bytes told to be 64", [] { free_sized_of(512, 64); }},
    {"free-sized-larger", "free_sized of 64 bytes told to be 512", [] { free_sized_of(64, 512); }},
    {"free-aligned-sized-alignment", "free_aligned_sized told a greater alignment",
     [] { free_aligned_sized_of(1 << 16, 64); }},
    {"free-aligned-sized-size", "free_aligned_sized told a greater size", [] { free_aligned_sized_of(64, 4096); }},
};

}  // namespace

Cases free_cases() { return {kCases, sizeof(kCases) / sizeof(kCases[0])}; }

}  // namespace pagerun::misuse
