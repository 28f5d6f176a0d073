// The inputs that the fuzzer has found worth keeping (test/fuzz/corpus), each run again on a fresh heap; and random
// ones.
#include <dirent.h>

#include "fuzz_input.h"

namespace pagerun {
namespace {

constexpr char kCorpus[] = "test/fuzz/corpus";

std::vector<uint8_t> read_file(const std::string& path) {
  std::vector<uint8_t> bytes;
  FILE* file = fopen(path.c_str(), "rb");
  if (!EXPECT(file != nullptr)) return bytes;
  for (int byte = fgetc(file); byte != EOF; byte = fgetc(file)) bytes.push_back(static_cast<uint8_t>(byte));
  fclose(file);
  return bytes;
}

void expect_sound(const std::vector<uint8_t>& bytes, const std::string& name) {
  harness::ChildEnd end = harness::run_in_child([&] {
    std::string wrong = fuzz::run(bytes.data(), bytes.size());
    if (!wrong.empty()) harness::report_failure(__FILE__, __LINE__, wrong);
  });
  if (!EXPECT_CLEAN(end)) fprintf(stderr, "  input: %s\n", name.c_str());
}

TEST("every input of the corpus runs as the model says") {
  DIR* directory = opendir(kCorpus);
  if (!EXPECT(directory != nullptr)) return;
  size_t count = 0;
  for (dirent* entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    std::string path = std::string(kCorpus) + "/" + entry->d_name;
    expect_sound(read_file(path), path);
    count++;
  }
  closedir(directory);
  EXPECT(count >= 20);
}

TEST("random inputs run as the model says") {
  harness::Random random(harness::seed());
  for (uint64_t i = 0; i < harness::rounds(60); i++) {
    std::vector<uint8_t> bytes;
    for (size_t at = 0; at < random.between(1, 500) * fuzz::kStepBytes; at++)
      bytes.push_back(static_cast<uint8_t>(random.below(256)));
    expect_sound(bytes, "random " + std::to_string(i) + " of this seed");
  }
}

TEST("an input that frees a block behind the model's back is found") {
  harness::ChildEnd end = harness::run_in_child([] {
    static void* last = nullptr;
    CoreApi api = *core_api_own();
    api.allocate = [](size_t bytes) { return last = allocate(bytes); };
    model::Model model(api);
    EXPECT_EQ(model.apply({model::Kind::kAllocate, 1, 100, 1}), "");
    EXPECT_EQ(deallocate(last), Misuse::kNone);
    EXPECT(!model.apply({model::Kind::kFree, 1, 0, 1}).empty());
  });
  EXPECT_CLEAN(end);
}

}  // namespace
}  // namespace pagerun
