// Keys and values. Question: what does memory cost a server that keeps strings under keys, in a table with a list for
// each place, and replaces, extends, reads and drops them for as long as it lives? 20,000 keys of which few are asked
// for often; values of 8 bytes to 2 KiB, for the most part short. An entry is three blocks: node, key and value. Every
// byte is written and read.
#include <string.h>

#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr uint64_t kKeys = 20'000;
constexpr size_t kTablePlaces = 16'384;
constexpr uint64_t kMinBytes = 8;
constexpr unsigned kDoublings = 8;
constexpr uint64_t kMostBytes = 4096;
constexpr size_t kKeyBytes = 24;

struct Entry {
  Entry* next;
  char* key;
  uint8_t* value;
  uint32_t key_bytes;
  uint32_t value_bytes;
};

/// The text of a key; its length depends on the number.
uint32_t write_key(uint64_t number, char* text) {
  uint32_t size = 0;
  for (const char* letter = "entry:"; *letter != 0; letter++) text[size++] = *letter;
  for (; number != 0; number /= 7) text[size++] = static_cast<char>('0' + number % 7);
  return size;
}

uint64_t hash_of(const char* text, uint32_t size) {
  uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (uint32_t at = 0; at < size; at++) hash = (hash ^ static_cast<uint8_t>(text[at])) * 0x100000001B3u;
  return hash;
}

struct Place {
  Entry* first;
};

template <class Probe>
class Store {
 public:
  Store(Worker<Probe>* worker, MappedArray<Place>* table) : worker_(worker), table_(table) {}

  /// Replaces the value, or makes the entry.
  void set(uint64_t number, uint64_t bytes) {
    Entry** place = find(number);
    if (*place == nullptr) {
      insert(place, bytes);
      return;
    }
    worker_->heap.release((*place)->value);
    write_value(*place, worker_->heap.allocate(bytes), 0, bytes);
  }

  /// Makes the value longer, if it is there.
  void append(uint64_t number, uint64_t bytes) {
    Entry* entry = *find(number);
    if (entry == nullptr || entry->value_bytes + bytes > kMostBytes) return;
    uint64_t before = entry->value_bytes;
    write_value(entry, worker_->heap.reallocate(entry->value, before + bytes), before, before + bytes);
  }

  /// Makes a copy of the value, as an answer, and drops it.
  void get(uint64_t number) {
    Entry* entry = *find(number);
    if (entry == nullptr) return;
    uint8_t* answer = static_cast<uint8_t*>(worker_->heap.allocate(entry->value_bytes));
    memcpy(answer, entry->value, entry->value_bytes);
    worker_->sum += answer[entry->value_bytes / 2];
    worker_->heap.release(answer);
  }

  void remove(uint64_t number) {
    Entry** place = find(number);
    if (*place != nullptr) release_first(place);
  }

  void clear() {
    for (Place& place : *table_) {
      while (place.first != nullptr) release_first(&place.first);
    }
  }

 private:
  Entry** find(uint64_t number) {
    key_bytes_ = write_key(number, key_);
    Entry** place = &(*table_)[hash_of(key_, key_bytes_) % kTablePlaces].first;
    while (*place != nullptr) {
      if ((*place)->key_bytes == key_bytes_ && memcmp((*place)->key, key_, key_bytes_) == 0) break;
      place = &(*place)->next;
    }
    return place;
  }

  /// A new entry for the key that was looked for last.
  void insert(Entry** place, uint64_t bytes) {
    Entry* entry = static_cast<Entry*>(worker_->heap.allocate(sizeof(Entry)));
    *entry = {*place, static_cast<char*>(worker_->heap.allocate(key_bytes_)), nullptr, key_bytes_, 0};
    memcpy(entry->key, key_, key_bytes_);
    write_value(entry, worker_->heap.allocate(bytes), 0, bytes);
    *place = entry;
  }

  void write_value(Entry* entry, void* value, uint64_t from, uint64_t to) {
    entry->value = static_cast<uint8_t*>(value);
    entry->value_bytes = static_cast<uint32_t>(to);
    memset(entry->value + from, static_cast<int>(to), to - from);
  }

  void release_first(Entry** place) {
    Entry* entry = *place;
    *place = entry->next;
    worker_->heap.release(entry->value);
    worker_->heap.release(entry->key);
    worker_->heap.release(entry);
  }

  Worker<Probe>* worker_;
  MappedArray<Place>* table_;
  char key_[kKeyBytes] = {};
  uint32_t key_bytes_ = 0;
};

// The smaller of two even numbers: low keys more often.
uint64_t pick_key(Random* random) {
  uint64_t first = random->between(1, kKeys);
  uint64_t second = random->between(1, kKeys);
  return first < second ? first : second;
}

template <class Probe>
void serve(Run* run) {
  MappedArray<Place> table(kTablePlaces);
  Worker<Probe> worker(run);
  Store<Probe> store(&worker, &table);
  Random random(37);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    uint64_t key = pick_key(&random);
    uint64_t kind = random.between(0, 15);
    if (kind < 6) {
      store.get(key);
    } else if (kind < 12) {
      store.set(key, random.power_law(kMinBytes, kDoublings));
    } else if (kind < 14) {
      store.append(key, random.between(1, 64));
    } else {
      store.remove(key);
    }
  }
  store.clear();
  run->stop_clock();
  run->read_peak();
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"key-value", "What does memory cost a server of strings that are replaced, extended, read and dropped?", 1,
     "after redis-benchmark, as in Leijen, Zorn and de Moura, APLAS 2019", 6'000'000, serve<NoProbe>,
     serve<SampleProbe>},
};

}  // namespace

WorkloadList key_value_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
