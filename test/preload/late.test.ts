// The library opened by dlopen: in every mode that a program can ask for, and when other libraries have left nothing of
// the static thread-local storage that the loader has for libraries that come late.
import { describe, expect, test } from "vitest";
import { compile, library, runPlain } from "./programs.js";

const done = { output: "ok\n", errors: "", end: "exit 0" };

describe.each(["now", "deep", "global"])("opened late (%s)", (mode) => {
  test("every function works, from many threads, in a child, and after dlclose", () => {
    expect(runPlain(compile("late.c", [], `late-${mode}`), [library, mode])).toEqual(done);
  });

  test("static thread-local storage that is used up is no reason to fail", () => {
    // From large to small, more of each than fit: what is left has no room for a pointer.
    const sizes = [1024, 512, 256, 128, 64, 32, 16, 8];
    const fillers = sizes.flatMap((bytes) =>
      ["a", "b", "c"].map((name) =>
        compile("tls_filler.c", ["-shared", `-DBYTES=${bytes}`], `filler-${mode}-${bytes}-${name}`),
      ),
    );
    expect(runPlain(compile("late.c", [], `late-full-${mode}`), [library, mode, ...fillers])).toEqual(done);
  });

  test.each([0, 64, 4096])("also where the loader's tunable keeps %i bytes of it", (bytes) => {
    const env = { GLIBC_TUNABLES: `glibc.rtld.optional_static_tls=${bytes}` };
    expect(runPlain(compile("late.c", [], `late-tuned-${mode}`), [library, mode], { env })).toEqual(done);
  });
});
