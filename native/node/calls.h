// The groups of functions that make up the addon's exports; each file of this folder defines one group.
// Owns nothing. Thread rule: called once for each environment, on its thread, while the addon is loaded.
#pragma once

#include <napi.h>

#include "environment.h"

namespace pagerun::node {

/// tables: the core's own tables and the environment's arena as ArrayBuffers, and where what lies in them; undefined
/// where the runtime refuses such buffers or the addresses are not such as lib/buckets.ts reckons with.
void define_tables(Napi::Object exports, Environment* environment);

/// malloc, calloc, realloc, alignedAlloc, free, locate.
void define_heap_calls(Napi::Object exports, Environment* environment);

/// What a made arena does: arenaMake, arenaMalloc ... arenaDrop.
void define_arena_calls(Napi::Object exports, Environment* environment);

/// ArrayBuffers over memory: stretchBuffer, blockBuffer, watchWindow, uncheckedBuffer, and whether the runtime allows
/// them.
void define_buffer_calls(Napi::Object exports, Environment* environment);

/// What Blocks need: their ledgers, the ArrayBuffers that they give out, and what V8 is told of their memory.
void define_block_calls(Napi::Object exports, Environment* environment);

/// copyIn, copyOut, and the same for memory that is not checked.
void define_copy_calls(Napi::Object exports, Environment* environment);

/// Ranges: mapPages, unmapPages, protectPages, advisePages, residentPages, and what views of them need.
void define_range_calls(Napi::Object exports, Environment* environment);
/// watch, read, write, and read and write of memory that is not checked.
void define_access_calls(Napi::Object exports, Environment* environment);

/// moveBytes, fillBytes, compareBytes, the same for memory that is not checked, and rawPointer.
void define_move_calls(Napi::Object exports, Environment* environment);

/// sharedBuffer, and whether the runtime has it.
void define_shared_calls(Napi::Object exports, Environment* environment);

/// verify, memoryTotals, snapshot.
void define_report_calls(Napi::Object exports, Environment* environment);

/// purge, setBudget.
void define_purge_calls(Napi::Object exports, Environment* environment);

/// failSystemCall, systemCalls.
void define_fault_calls(Napi::Object exports);

/// The teaching heaps: textbookCreate and what else begins so.
void define_textbook_calls(Napi::Object exports, Environment* environment);

/// measureContention.
void define_contention_calls(Napi::Object exports);

/// libcMalloc, libcCalloc, libcRealloc, libcBuffer, libcFree: what the bench compares with.
void define_libc_calls(Napi::Object exports);

/// executeProgram: another program in this process's place.
void define_process_calls(Napi::Object exports);

}  // namespace pagerun::node
