#include "header_check.h"

#include <cstdlib>

#include "../base/check.h"
#include "../harden/policy.h"
#include "arena_list.h"
#include "region.h"

namespace pagerun {

namespace {

const char* find_wrong_fact(const PageHeader& page) {
  const ClassFacts& facts = kClassFacts.of_class[page.size_class];
  if (load_relaxed(page.block_bytes) != facts.block_bytes) return "block_bytes == class_bytes(size_class)";
  if (page.capacity != facts.capacity) return "capacity == class_capacity(size_class)";
  if (load_relaxed(page.run_pages) != facts.run_pages) return "run_pages == class_pages(size_class)";
  if (page.reciprocal != facts.reciprocal) return "reciprocal == reciprocal_of(block_bytes)";
  uint32_t start_limit = load_relaxed(page.start_limit);  // 0 while remote frees await the drain
  if (start_limit != 0 && start_limit != facts.start_limit) return "start_limit == start_limit_of(page)";
  return nullptr;
}

const char* find_wrong_address(const PageHeader& page) {
  const Region& region = region_of_header(&page);
  if (page.start != region.address_of(&page)) return "start == address of the page";
  bool is_inline = has_inline_bits(page);
  if (page.free_bits != (is_inline ? page.inline_free_bits : region.free_bits_of(&page)))
    return "free_bits == its place beside the page";
  if (page.remote_bits != (is_inline ? page.inline_remote_bits : region.remote_bits_of(&page)))
    return "remote_bits == its place beside the page";
  return nullptr;
}

}  // namespace

bool are_policies_whole(const PageHeader& page) {
  uint32_t policies = load_relaxed(page.policies), number = policies >> kRegionShift;
  if (number >= kMaxRegions || load_relaxed(page.start_limit) != 0) return false;
  const Region& region = region_table.regions[number];
  bool is_known =
      policies % (1u << kRegionShift) >= kHardened && policies % (1u << kRegionShift) <= (kHardened | kAllPolicies);
  return is_known && region.slack_table != nullptr && region.holds_header(&page);
}

const char* find_damage(const PageHeader& page) {
  if (page.size_class >= kClassCount) return "size_class < class count";
  if (is_hardened(page) && !are_policies_whole(page)) return "policies == its arena's, and its region's number";
  const char* wrong = find_wrong_fact(page);
  return wrong != nullptr ? wrong : find_wrong_address(page);
}

const char* find_wrong_count(const PageHeader& page) {
  uint32_t last = words_of(page.capacity) - 1, tail = page.capacity % kWordBits;
  if (tail != 0 && (page.free_bits[last] & ~low_bits(tail)) != 0) return "no free bit beyond capacity";
  if (used_of(page) + bitmap_count(page.free_bits, page.capacity) != page.capacity)
    return "used == popcount(used bitmap)";
  bool is_hot = page.hot_offset % sizeof(uint64_t) == 0 && page.hot_offset / sizeof(uint64_t) <= last;
  return is_hot && page.next_word <= last + 1 ? nullptr : "the hot word is one of the bitmap's";
}

bool has_known_owner(const PageHeader& page, const Arena* owner) {
  if (owner == nullptr || owner == load_relaxed(page.owner_again)) return true;
  // It may be on its way to another arena at this moment.
  return arena_is_known(owner);
}

uint64_t owner_id_of(const PageHeader& page) {
  const Arena* owner = owner_of(page);
  return has_known_owner(page, owner) ? arena_id_of(owner) : 0;
}

void header_damaged(const PageHeader* page, const char* invariant) {
  Line line;
  line.text("pagerun: broken invariant: ").text(invariant).text(" at ").address(page);
  if (const Region* region = region_with_header(page))
    line.text(", the header of the page at ").address(region->address_of(page));
  line.print();
  abort();
}

}  // namespace pagerun
