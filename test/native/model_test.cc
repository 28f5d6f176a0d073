// The shadow model on one thread: random lists of operations against the core, and against allocators that are broken
// on purpose, which it must find and for which it must name a short list of operations.
#include "model.h"

namespace pagerun {
namespace {

void expect_runs_well(uint64_t seed, size_t count) {
  std::vector<model::Operation> operations = model::random_operations(seed, count);
  const CoreApi& api = *core_api_own();
  std::string wrong = model::run_apart(api, operations);
  if (wrong.empty()) return;
  auto fails = [&](const std::vector<model::Operation>& list) { return !model::run_apart(api, list).empty(); };
  operations = model::shrink(operations, fails);
  std::string text = "seed " + std::to_string(seed) + ": " + wrong + "\n  the shortest list that fails:\n" +
                     model::text_of(operations);
  harness::report_failure(__FILE__, __LINE__, text);
}

TEST("random operations in many short lists, each on a fresh heap") {
  for (uint64_t i = 0; i < harness::rounds(100); i++) expect_runs_well(harness::seed() + i, 500);
}

TEST("random operations in one long list") {
  expect_runs_well(harness::seed() * 3, harness::rounds(harness::option("--operations", 400000)));
}

// A core with one fault, planted by hand: the model has to see it, or it sees nothing.
struct Planted {
  const char* what;
  CoreApi api;
};

CoreApi broken(void (*plant)(CoreApi&)) {
  CoreApi api = *core_api_own();
  plant(api);
  return api;
}

const Planted kPlanted[] = {
    {"allocate gives a block out twice", broken([](CoreApi& api) {
       api.allocate = [](size_t bytes) {
         static void* again = nullptr;
         if (bytes < 400 || bytes > 500) return allocate(bytes);
         if (again == nullptr) again = allocate(512);
         return again;
       };
     })},
    {"allocate_zeroed leaves the last byte", broken([](CoreApi& api) {
       api.allocate_zeroed = [](size_t count, size_t bytes) {
         auto* block = static_cast<char*>(allocate_zeroed(count, bytes));
         if (bytes > 1000) block[bytes - 1] = 1;
         return static_cast<void*>(block);
       };
     })},
    {"allocate_aligned is off by 16 from 256 on", broken([](CoreApi& api) {
       api.allocate_aligned = [](size_t alignment, size_t bytes) {
         auto* block = static_cast<char*>(allocate_aligned(alignment, bytes + 16));
         return static_cast<void*>(alignment >= 256 ? block + 16 : block);
       };
     })},
    {"reallocate loses a byte when it grows", broken([](CoreApi& api) {
       api.reallocate = [](void* ptr, size_t bytes, void** result) {
         Misuse misuse = reallocate(ptr, bytes, result);
         if (bytes > 20000) static_cast<char*>(*result)[40] ^= 1;
         return misuse;
       };
     })},
    {"deallocate writes into the block behind", broken([](CoreApi& api) {
       api.deallocate = [](void* ptr) {
         Block next;
         size_t bytes = usable_bytes(ptr);
         auto* behind = static_cast<char*>(ptr) + bytes;
         if (bytes == 64 && locate(behind, &next) == Misuse::kNone) *behind ^= 1;
         return deallocate(ptr);
       };
     })},
    {"a second free is not refused", broken([](CoreApi& api) {
       api.deallocate = [](void* ptr) {
         Misuse misuse = deallocate(ptr);
         return misuse == Misuse::kDoubleFree ? Misuse::kNone : misuse;
       };
     })},
    {"the process ends at a block of a certain size", broken([](CoreApi& api) {
       api.allocate = [](size_t bytes) {
         if (bytes >= 3000 && bytes < 3200) abort();
         return allocate(bytes);
       };
     })},
};

constexpr size_t kMostOperations = 6;  // none of these faults needs more

TEST("every fault that is planted in an allocator is found, and shrunk to the few operations that show it") {
  for (const Planted& planted : kPlanted) {
    auto fails = [&](const std::vector<model::Operation>& list) {
      return !model::run_apart(planted.api, list).empty();
    };
    std::vector<model::Operation> operations;
    for (uint64_t i = 0; i < 20; i++) {
      operations = model::random_operations(harness::seed() + i, 1500);
      if (fails(operations)) break;
      operations.clear();
    }
    if (!EXPECT(!operations.empty())) {
      fprintf(stderr, "  not found: %s\n", planted.what);
      continue;
    }
    operations = model::shrink(operations, fails);
    EXPECT(fails(operations));
    for (size_t i = 0; i < operations.size(); i++) {
      std::vector<model::Operation> fewer = operations;
      fewer.erase(fewer.begin() + static_cast<long>(i));
      EXPECT(!fails(fewer));
    }
    if (!EXPECT_AT_MOST(operations.size(), kMostOperations)) {
      fprintf(stderr, "  %s:\n%s", planted.what, model::text_of(operations).c_str());
    }
  }
}

TEST("a list of operations is the same for the same seed, and any part of it can be run") {
  std::vector<model::Operation> a = model::random_operations(harness::seed(), 300);
  EXPECT(model::text_of(a) == model::text_of(model::random_operations(harness::seed(), 300)));
  harness::Random random(harness::seed());
  for (int i = 0; i < 20; i++) {
    std::vector<model::Operation> part;
    for (const model::Operation& operation : a) {
      if (random.one_in(2)) part.push_back(operation);
    }
    EXPECT_EQ(model::run_apart(*core_api_own(), part), std::string());
  }
}

}  // namespace
}  // namespace pagerun
