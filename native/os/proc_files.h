// What the kernel tells in files of /proc, read without the C library's streams. Owns nothing; errno is left as it was.
// Thread rule: any thread.
#pragma once

#include <cstddef>

namespace pagerun::os {

/// A file of /proc, as far as there is room. Its length; 0 when it cannot be read.
size_t read_file(const char* path, char* text, size_t room);

/// Bytes that the system can give to programs before it is out of memory, as it estimates (MemAvailable); SIZE_MAX
/// where it does not tell. A limit of the process's control group may come earlier.
size_t available_bytes();

}  // namespace pagerun::os
