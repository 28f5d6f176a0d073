// What the library does when a program begins. Thread rule: the loader's thread, before main.
#include "../base/settings.h"

namespace pagerun {

namespace {

// A wrong value is said at once, and not when the setting is first used.
[[gnu::constructor]] void start() { settings(); }

}  // namespace

}  // namespace pagerun
