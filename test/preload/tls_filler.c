/* A library with thread-local storage that must be static: BYTES of it. Opened often enough, none is left. */
__thread char filler[BYTES] __attribute__((tls_model("initial-exec")));
char* filler_of_thread(void) { return filler; }
