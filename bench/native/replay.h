// Replays a trace against the malloc of the process. Owns the threads of the replay and their order.
#pragma once

#include <stdint.h>

namespace pagerun::bench {

/// Replays `path` `passes` times and prints the JSON line. Each pass ends with a free of the blocks that the trace
/// leaves live, outside of `time`. Dies if the trace is not sound, memory runs out, or a block does not hold what was
/// written to it.
void replay(const char* path, uint64_t passes, bool samples_latency);

}  // namespace pagerun::bench
