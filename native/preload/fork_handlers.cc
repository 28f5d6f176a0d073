// Fork handlers of programs and libraries: whoever registers the first finds the heap's registered before it, so that
// it may allocate in its own. Those run in an order by registration: before fork() the heap's locks are taken last,
// behind it they are given first. Owns nothing. Thread rule: any thread, before main and in constructors, too.
#include <dlfcn.h>

#include <cerrno>

#include "../core/thread_arena.h"
#include "calls.h"

namespace {

using Handler = void (*)();
using Register = int (*)(Handler, Handler, Handler, void*);

}  // namespace

PAGERUN_EXPORT int register_atfork(Handler prepare, Handler parent, Handler child,
                                   void* library) __asm__("__register_atfork");

/// What pthread_atfork calls, of which every library has a copy of its own.
PAGERUN_EXPORT int register_atfork(Handler prepare, Handler parent, Handler child, void* library) {
  pagerun::fork_handlers_set_up();
  auto next = reinterpret_cast<Register>(dlsym(RTLD_NEXT, "__register_atfork"));
  return next == nullptr ? ENOSYS : next(prepare, parent, child, library);
}
