// What the cases of pagerun_misuse share: how a case is written down, how it ends, and calls of the allocator of which
// the compiler knows nothing. Owns no case. Thread rule: a case runs in a process of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The sized forms of operator delete, which not every compiler declares.
extern "C" void delete_sized(void*, size_t) __asm__("_ZdlPvm");
extern "C" void delete_array_sized(void*, size_t) __asm__("_ZdaPvm");
extern "C" void delete_aligned_sized(void*, size_t, size_t) __asm__("_ZdlPvmSt11align_val_t");

namespace pagerun::misuse {

enum class Group : uint8_t {
  kAttack,    // a misuse that an attacker would make, followed by a look at who owns what
  kFree,      // a wrong pointer or size given to free, realloc, malloc_usable_size or delete
  kDamage,    // a write or read where the program has no block
  kProperty,  // no misuse: what every malloc owes its caller
};

struct Case {
  const char* name;
  const char* title;
  void (*run)();
  bool is_harmless_enough = false;  // nothing need be noticed, as long as nothing came of it
};

struct Cases {
  const Case* first;
  size_t count;
};

Cases attack_cases();
Cases free_cases();
Cases damage_cases();
Cases property_cases();
Cases process_cases();  // properties as well, of threads, forks and limits

// The allocator under test. Called through these, nothing is left out or replaced by the compiler.
extern void* (*volatile take)(size_t);
extern void* (*volatile take_zeroed)(size_t, size_t);
extern void* (*volatile resize)(void*, size_t);
extern void (*volatile give)(void*);
extern size_t (*volatile usable_size)(void*);
extern void* (*volatile make)(size_t);                // operator new
extern void (*volatile unmake)(void*);                // operator delete
extern void (*volatile unmake_sized)(void*, size_t);  // the same, told the size

/// Memory that is no heap's.
char* foreign_memory();
constexpr size_t kForeignBytes = 512;

/// Writes the outcome and ends with exit code 0. No stdio: it may allocate, on a heap that may be broken.
[[noreturn]] void end_with(const char* outcome);

/// Ends with "n/a": the allocator has no such call.
[[noreturn]] void end_without_call();

/// From here on a fault is the allocator's doing: the memory was taken out of reach.
void expect_fault();

/// Goes on as programs do, with a few blocks of each of many sizes. Ends with "two-owners" or "foreign-memory" when
/// what malloc hands out is what the program holds, or what is no heap's.
void go_on();

/// Tells that the program holds these bytes, which it took without this file's help.
void hold(const void* ptr, size_t bytes);

/// A check of a property; ends the process with the text on standard error when it does not hold.
void require(bool holds, const char* text);

/// Runs `body(argument)` on another thread, and waits for its end.
void on_other_thread(void (*body)(void*), void* argument);

}  // namespace pagerun::misuse
