// pagerun_bench: the command line of the native bench. Owns the subcommands and their usage; each is a function
// elsewhere. It calls the malloc of its process, so a contender is put in by LD_PRELOAD.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "contend.h"
#include "convert.h"
#include "die.h"
#include "instructions.h"
#include "replay.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr const char* kUsage =
    "usage: pagerun_bench <command>\n"
    "  replay <trace> [--passes n] [--latency]   replay a trace, print one JSON line\n"
    "  run <workload> [--ops n] [--latency]      run a synthetic workload of about n calls, print one JSON line\n"
    "  list                                      print the workloads as a JSON array\n"
    "  whoami                                    print the file that malloc comes from\n"
    "  convert <raw file or directory> <trace> [--name text] [--command text] [--max-events n]\n"
    "                                            make a trace of a recording, of the largest one in a directory\n"
    "  instructions                              run the operations whose instructions are counted, print them as "
    "JSON\n"
    "  contend [--threads n] [--arenas n] [--choice rule] [--lock kind] [--origin header|address] [--milliseconds n]\n"
    "                                            threads on the textbook's arenas, print one JSON line\n"
    "  compiler                                  print the compiler that made this program\n"
    "  info <trace>                              check a trace, print one JSON line about it\n";

int refuse_usage() {
  fputs(kUsage, stderr);
  return kExitUsage;
}

template <size_t kPlaces, size_t kFlags>
bool read_line(int count, char** arguments, const char* (&places)[kPlaces], const Flag (&flags)[kFlags]) {
  return command_line_read(count, arguments, places, kPlaces, flags, kFlags);
}

int main_replay(int count, char** arguments) {
  const char* places[1] = {};
  uint64_t passes = 1;
  bool samples_latency = false;
  const Flag flags[] = {{.name = "--passes", .number = &passes}, {.name = "--latency", .is_given = &samples_latency}};
  if (!read_line(count, arguments, places, flags)) return refuse_usage();
  replay(places[0], passes, samples_latency);
  return 0;
}

int main_run(int count, char** arguments) {
  const char* places[1] = {};
  uint64_t operations = 0;
  bool samples_latency = false;
  const Flag flags[] = {{.name = "--ops", .number = &operations}, {.name = "--latency", .is_given = &samples_latency}};
  if (!read_line(count, arguments, places, flags)) return refuse_usage();
  if (run_workload(places[0], operations, samples_latency)) return 0;
  fprintf(stderr, "pagerun_bench: no workload is named %s\n", places[0]);
  return refuse_usage();
}

int main_list(int count, char** arguments) {
  if (!command_line_read(count, arguments, nullptr, 0, nullptr, 0)) return refuse_usage();
  print_workloads();
  return 0;
}

int main_whoami(int count, char** arguments) {
  if (!command_line_read(count, arguments, nullptr, 0, nullptr, 0)) return refuse_usage();
  Dl_info info = {};
  // By name: the address of malloc in this file may be that of a jump to it.
  void* found = dlsym(RTLD_DEFAULT, "malloc");
  if (found == nullptr || dladdr(found, &info) == 0) die("nobody knows where malloc comes from");
  puts(info.dli_fname);
  return 0;
}

int main_convert(int count, char** arguments) {
  const char* places[2] = {};
  ConvertOptions options;
  const Flag flags[] = {{.name = "--name", .text = &options.name},
                        {.name = "--command", .text = &options.command},
                        {.name = "--max-events", .number = &options.max_events}};
  if (!read_line(count, arguments, places, flags)) return refuse_usage();
  options.source = places[0];
  options.target = places[1];
  convert(options);
  return 0;
}

int main_info(int count, char** arguments) {
  const char* places[1] = {};
  if (!command_line_read(count, arguments, places, 1, nullptr, 0)) return refuse_usage();
  print_trace_info(places[0]);
  return 0;
}

int main_instructions(int count, char** arguments) {
  if (!command_line_read(count, arguments, nullptr, 0, nullptr, 0)) return refuse_usage();
  run_operations();
  return 0;
}

int main_compiler(int count, char** arguments) {
  if (!command_line_read(count, arguments, nullptr, 0, nullptr, 0)) return refuse_usage();
  puts(compiler_version());
  return 0;
}

int main_contend(int count, char** arguments) {
  ContendArguments contention;
  const Flag flags[] = {{.name = "--threads", .number = &contention.threads},
                        {.name = "--arenas", .number = &contention.arenas},
                        {.name = "--milliseconds", .number = &contention.milliseconds},
                        {.name = "--choice", .text = &contention.choice},
                        {.name = "--lock", .text = &contention.lock},
                        {.name = "--origin", .text = &contention.origin}};
  if (!command_line_read(count, arguments, nullptr, 0, flags, sizeof(flags) / sizeof(flags[0]))) return refuse_usage();
  return contend(contention) ? 0 : refuse_usage();
}

struct Command {
  const char* name;
  int (*main)(int, char**);
};

constexpr Command kCommands[] = {{"replay", main_replay},
                                 {"run", main_run},
                                 {"list", main_list},
                                 {"whoami", main_whoami},
                                 {"convert", main_convert},
                                 {"info", main_info},
                                 {"instructions", main_instructions},
                                 {"contend", main_contend},
                                 {"compiler", main_compiler}};

}  // namespace

int main_of(int count, char** arguments) {
  if (count < 2) return refuse_usage();
  if (strcmp(arguments[1], "--help") == 0) return fputs(kUsage, stdout), 0;
  for (const Command& command : kCommands) {
    if (strcmp(command.name, arguments[1]) == 0) return command.main(count - 2, arguments + 2);
  }
  fprintf(stderr, "pagerun_bench: unknown command %s\n", arguments[1]);
  return refuse_usage();
}

}  // namespace pagerun::bench

int main(int count, char** arguments) { return pagerun::bench::main_of(count, arguments); }
