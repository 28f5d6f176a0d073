// Heartbleed, on the loopback: one server with the size-field bug, over three kinds of memory. While others log in, a client
// says "hello" and claims that this was 1,000 bytes, a few times over. Prints for each what came back.
// OpenSSL's bug of 2014 was this one: the length of the answer came from the request, and nobody compared them.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import koffi from "koffi";
import { calloc, copyIn, copyOut, free, malloc } from "pagerun";

const secret = "PRIVATE-KEY-7f3a91c4";
const loginBytes = 1000;
const claimed = loginBytes;
const tries = 10;
const secretOffset = 64;

/** libc's malloc, as a program in C has it: a pointer leads to as many bytes as anybody asks for. */
function libcMemory() {
  const libc = koffi.load(null);
  const allocate = libc.func("void *malloc(size_t)");
  const release = libc.func("void free(void *)");
  return {
    allocate,
    write: (ptr, offset, text) => Buffer.from(koffi.view(ptr, offset + text.length)).write(text, offset),
    read: (ptr, length) => Buffer.from(Buffer.from(koffi.view(ptr, length))),
    release,
    allocateAnswer: allocate,
  };
}

/** Buffers of the pool of Node.js, which lie in one ArrayBuffer, and a server that reaches through it. */
function unsafeMemory() {
  return {
    allocate: (bytes) => Buffer.allocUnsafe(bytes),
    write: (buffer, offset, text) => buffer.write(text, offset),
    read: (buffer, length) => {
      const end = Math.min(buffer.byteOffset + length, buffer.buffer.byteLength);
      return Buffer.from(Buffer.from(buffer.buffer, buffer.byteOffset, end - buffer.byteOffset));
    },
    release: () => {},
    allocateAnswer: (bytes) => Buffer.allocUnsafe(bytes),
  };
}

/** This package: a copy out of a block ends where the block ends or is refused, and an answer is made of zeroes. */
function pagerunMemory() {
  return {
    allocate: malloc,
    write: (ptr, offset, text) => copyIn(ptr + BigInt(offset), Buffer.from(text)),
    read: (ptr, length) => Buffer.from(copyOut(ptr, length)),
    release: free,
    allocateAnswer: calloc,
  };
}

/** A login: its secret is in a block that is freed, and in one that is kept. */
function handleLogin(memory) {
  const request = memory.allocate(loginBytes);
  memory.write(request, secretOffset, secret);
  memory.release(request);
  const session = memory.allocate(secret.length);
  memory.write(session, 0, secret);
  return session;
}

/** The bug, twice: `claimed` is believed, of the request's own block and of the block for the answer. */
async function answerHeartbeat(memory, request) {
  const block = memory.allocate(request.text.length);
  memory.write(block, 0, request.text);
  await sleep(10);
  const answer = memory.allocateAnswer(request.claimed);
  return Buffer.concat([memory.read(answer, request.claimed), memory.read(block, request.claimed)]);
}

function startServer(memory) {
  const sessions = [];
  return createServer((socket) => {
    socket.on("data", async (data) => {
      const request = JSON.parse(data.toString());
      if (request.do === "login") {
        sessions.push(handleLogin(memory));
        socket.end("welcome");
        return;
      }
      try {
        socket.end(await answerHeartbeat(memory, request));
      } catch (error) {
        socket.end(`refused: ${error.code}`);
      }
    });
  });
}

async function ask(port, request) {
  const socket = connect(port, "127.0.0.1");
  socket.write(JSON.stringify(request));
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  await once(socket, "close");
  return Buffer.concat(parts);
}

async function attack(name, memory) {
  const server = startServer(memory).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const answers = [];
  for (let i = 0; i < tries; i++) {
    const heartbeat = ask(port, { do: "heartbeat", text: "hello", claimed });
    await Promise.all([ask(port, { do: "login" }), ask(port, { do: "login" })]);
    answers.push(await heartbeat);
  }
  server.close();
  const leaks = answers.filter((answer) => answer.includes(secret)).length;
  const last = answers.at(-1).toString("latin1");
  console.log(`${name}: ${leaks > 0 ? `LEAKED ${secret}` : last.startsWith("refused") ? last : "no secret"}`);
}

await attack("libc", libcMemory());
await attack("Buffer.allocUnsafe", unsafeMemory());
await attack("pagerun", pagerunMemory());
