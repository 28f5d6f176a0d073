// Structures of ours in calls of libc through node:ffi: libc fills them, reads them, and follows their pointers.
// Prints what it found as one line of JSON.
import { dlopen } from "node:ffi";
import {
  addressOf,
  array,
  calloc,
  chars,
  cString,
  free,
  getUint64,
  i32,
  i64,
  struct,
  toString as textAt,
  u16,
  unchecked,
  verify,
} from "pagerun";

const Tm = struct({
  sec: i32,
  min: i32,
  hour: i32,
  mday: i32,
  mon: i32,
  year: i32,
  wday: i32,
  yday: i32,
  isdst: i32,
  gmtoff: i64,
  zone: cString,
});
const Utsname = struct({ sysname: chars(65), nodename: chars(65), release: chars(65), rest: array(chars(65), 3) });
const Div = struct({ quotient: i32, remainder: i32 });

const { functions } = dlopen("libc.so.6", {
  gmtime_r: { arguments: ["pointer", "pointer"], return: "pointer" },
  timegm: { arguments: ["pointer"], return: "int64" },
  strftime: { arguments: ["pointer", "uint64", "pointer", "pointer"], return: "uint64" },
  uname: { arguments: ["pointer"], return: "int32" },
  memcmp: { arguments: ["pointer", "pointer", "uint64"], return: "int32" },
});

const Seconds = struct({ value: i64 });
const seconds = Seconds.alloc({ value: 1_234_567_890n });
const tm = Tm.alloc();
const returned = functions.gmtime_r(addressOf(seconds), addressOf(tm));

tm.year += 1;
tm.mday = 60; // libc brings it into its month
const later = functions.timegm(addressOf(tm));

const Format = struct({ text: chars(16) });
const format = Format.alloc({ text: "%Y-%m-%d" });
const text = calloc(32);
functions.strftime(text, 32n, addressOf(format), addressOf(tm));

const name = Utsname.alloc();
functions.uname(addressOf(name));

const pairs = Div.allocArray(2);
for (const pair of pairs) Div.assign(pair, { quotient: 7, remainder: -1 });
const order = functions.memcmp(addressOf(pairs.get(0)), addressOf(pairs.get(1)), BigInt(Div.size));

console.log(
  JSON.stringify({
    isSame: returned === addressOf(tm),
    later: String(later),
    date: textAt(text),
    zone: unchecked.toString(getUint64(addressOf(tm, "zone"))), // text of libc's own
    size: Tm.size,
    sysname: name.sysname,
    order,
    verdict: verify(),
    sizes: [struct({ a: u16, b: Div }).size, Utsname.size],
  }),
);
for (const ptr of [addressOf(seconds), addressOf(tm), addressOf(format), text, addressOf(name), pairs.ptr]) free(ptr);
