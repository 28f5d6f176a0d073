// The sorted array of what lies where: entries that come and go anywhere, at one end or at both, against a map.
#include "core/address_table.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "harness.h"
#include "os/fault.h"

namespace pagerun {
namespace {

struct Entry {
  char* address;
  size_t bytes;
};

constexpr size_t kStep = 64;

using Table = AddressTable<Entry>;
using Model = std::map<char*, size_t>;

char* address_of(size_t place) { return reinterpret_cast<char*>((uintptr_t{1} << 40) + place * kStep); }

void expect_same(const Table& table, const Model& model) {
  EXPECT_EQ(table.count(), model.size());
  size_t i = 0;
  for (auto [address, bytes] : model) {
    if (!EXPECT(i < table.count() && table[i].address == address && table[i].bytes == bytes)) return;
    i++;
  }
}

void insert(Table& table, Model& model, size_t place, size_t bytes) {
  if (!EXPECT(table.make_room(1)) || !model.emplace(address_of(place), bytes).second) return;
  table.insert({address_of(place), bytes});
}

void erase(Table& table, Model& model, size_t from, size_t to) {
  auto first = std::next(model.begin(), static_cast<long>(from));
  model.erase(first, std::next(first, static_cast<long>(to - from)));
  table.erase(from, to);
}

TEST("entries that come and go at random places are those of a map, and found by any address in them") {
  Table table;
  Model model;
  harness::Random random(harness::seed());
  for (uint64_t step = 0; step < harness::rounds(20000); step++) {
    if (model.size() < 2 || random.below(20) < 11) {
      insert(table, model, random.below(5000), random.between(1, kStep));
    } else {
      size_t from = random.below(model.size());
      erase(table, model, from, from + random.between(0, std::min<size_t>(3, model.size() - from)));
    }
    char* ptr = address_of(random.below(5000)) + random.below(kStep);
    auto behind = model.upper_bound(ptr);
    EXPECT_EQ(table.index_behind(ptr), static_cast<size_t>(std::distance(model.begin(), behind)));
    bool is_held = behind != model.begin() && ptr < std::prev(behind)->first + std::prev(behind)->second;
    Entry* holding = table.holding(ptr);
    EXPECT_EQ(holding != nullptr, is_held);
    if (is_held && holding != nullptr) EXPECT_EQ(holding->address, std::prev(behind)->first);
    if (step % 64 == 0) expect_same(table, model);
  }
  expect_same(table, model);
}

TEST("a queue goes through the array in either direction, and takes no more of it than its entries") {
  constexpr size_t kLive = 300, kPassed = 20000;
  for (bool is_downwards : {false, true}) {
    Table table;
    Model model;
    auto place = [&](size_t index) { return is_downwards ? kPassed + kLive - index : index; };
    for (size_t index = 0; index < kLive; index++) insert(table, model, place(index), kStep);
    EXPECT(table.make_room(1));
    uint64_t calls = os::call_count();
    for (size_t index = kLive; index < kPassed; index++) {
      insert(table, model, place(index), kStep);
      size_t oldest = is_downwards ? model.size() - 1 : 0;
      erase(table, model, oldest, oldest + 1);
    }
    expect_same(table, model);
    EXPECT_EQ(os::call_count(), calls);
  }
}

TEST("without memory for more the entries stay, and there is room again later") {
  Table table;
  Model model;
  size_t place = 0;
  bool is_refused = false;
  while (!is_refused && place < 10000) {
    insert(table, model, place++, kStep);
    os::fail_call(1, 1);
    is_refused = !table.make_room(1);
    os::fail_call(0, 0);
  }
  EXPECT(is_refused);
  expect_same(table, model);
  for (size_t more = 0; more < 1000; more++) insert(table, model, place + more, kStep);
  expect_same(table, model);
}

}  // namespace
}  // namespace pagerun
