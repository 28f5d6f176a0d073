/* The size-field bug in C: a server that reads requests from standard input and answers on standard output.
 *   login SECRET       handled in a block that is freed
 *   heartbeat N TEXT   answered with N bytes of a block in which only TEXT was written
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kLoginBytes = 1000, kSecretOffset = 64 };

static void login(const char* secret) {
  char* request = malloc(kLoginBytes);
  memset(request, ' ', kLoginBytes);
  memcpy(request + kSecretOffset, secret, strlen(secret));
  free(request);
}

static void heartbeat(size_t claimed, const char* text) {
  char* answer = malloc(claimed);
  memcpy(answer, text, strlen(text));
  if (write(1, answer, claimed) < 0) exit(1);
  free(answer);
}

int main(void) {
  static char line[256], text[256];
  static char input[4096];
  size_t claimed = 0;
  setvbuf(stdin, input, _IOFBF, sizeof(input));
  while (fgets(line, sizeof(line), stdin) != NULL) {
    if (sscanf(line, "login %255s", text) == 1) login(text);
    if (sscanf(line, "heartbeat %zu %255s", &claimed, text) == 2) heartbeat(claimed, text);
  }
  return 0;
}
