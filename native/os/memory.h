// Memory from the kernel: the only system calls that take or give any. Owns nothing.
// Every refusal is a value (null or false), never an abort; errno is left as it was. Thread rule: any thread.
// All addresses and lengths are multiples of the OS page; lengths are not 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun::os {

/// Whether the kernel's pages are of kOsPageBytes, as all of the core takes for granted.
bool has_known_os_pages();

/// Address space only: neither readable nor writable, counted against no commit limit. Null when refused.
void* reserve(size_t bytes);

/// The same at exactly `address`; null when anything is there already (*is_taken), or refused.
void* reserve_at(void* address, size_t bytes, bool* is_taken);

/// As reserve(), but what is made usable of it is counted: more at once than the machine can have is refused.
void* reserve_counted(size_t bytes);

/// Makes reserved memory usable: readable, writable, zero. False when refused (nothing has changed).
bool commit(void* address, size_t bytes);

/// Gives the content back to the system and keeps the address usable: it reads as zero again. False when refused.
bool purge(void* address, size_t bytes);

/// Wishes for no huge pages in mapped memory: neither at a page fault, nor later made by the kernel out of what is in
/// memory and what is not.
void refuse_huge(void* address, size_t bytes);

/// Gives address and content back. False when refused (the mapping is still there).
bool release(void* address, size_t bytes);

/// Usable zero memory of its own; null when refused.
void* map(size_t bytes);

/// Grows or shrinks what map() returned, moving it when `may_move`; null when refused (nothing has changed).
void* remap(void* address, size_t old_bytes, size_t new_bytes, bool may_move);

/// Takes the content of mapped memory away and leaves the address without access. False when refused (nothing has
/// changed).
bool seal_off(void* address, size_t bytes);

/// As remap(), to `target`, reserved memory that is replaced.
void* remap_to(void* address, size_t old_bytes, size_t new_bytes, void* target);

/// Random bits for address hints and secrets; never fails (falls back to clock and address entropy).
uint64_t random_bits();

/// Milliseconds of a clock that only goes forward; coarse (some ms), without a system call.
uint64_t milliseconds();

/// The process's limit on address space in bytes, or SIZE_MAX.
size_t address_space_limit();

}  // namespace pagerun::os
