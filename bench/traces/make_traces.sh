#!/bin/sh
# Records the traces of this directory anew: make_traces.sh <work directory> [name ...]
# Owns what each trace is a trace of. Needs a build, and python3, git, g++, perl, sqlite3, redis-server and npm with a network.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bench=$root/build/Release/pagerun_bench
recorder=$root/build/Release/librecorder.so
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
redis_port=7391

# The libraries of python3 itself, without those it never compiles.
python_sources() {
  python3 -c 'import os, sysconfig; print(sysconfig.get_path("stdlib"))'
}

# keep <name> <command text>: the largest recording of the last command becomes a trace.
keep() {
  "$bench" convert "$work/raw" "$work/$1.trace" --name "$1" --command "$2"
  node -e '
    const { brotliCompressSync, constants } = require("node:zlib");
    const { readFileSync, writeFileSync } = require("node:fs");
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
    writeFileSync(process.argv[2], brotliCompressSync(readFileSync(process.argv[1]), { params }));
  ' "$work/$1.trace" "$here/$1.trace.br"
}

# record <command ...>: what it prints is not kept.
record() {
  rm -rf "$work/raw"
  mkdir "$work/raw"
  PAGERUN_RECORD="$work/raw" LD_PRELOAD="$recorder" "$@" >"$work/out.txt" 2>&1 || echo "ended with $?: $*"
}

record_node_tsc() {
  mkdir -p "$work/tsc" && cd "$work/tsc"
  echo '{"private":true}' >package.json
  npm install --silent --ignore-scripts typescript@5.9.3 @types/node@20.19.43
  echo 'import { test } from "node:test"; import * as fs from "node:fs"; import * as http from "node:http";
    export function serve(path: string) { return http.createServer((_, reply) => fs.createReadStream(path).pipe(reply)); }
    test("serves", async (context) => { context.diagnostic(String(serve("x").listening)); });' >main.mts
  record node node_modules/typescript/bin/tsc --strict --module nodenext --target es2022 --outDir out main.mts
  keep node-tsc "node tsc --strict --module nodenext --target es2022 --outDir out main.mts"
}

record_node_npm() {
  rm -rf "$work/npm" && mkdir -p "$work/npm" && cd "$work/npm"
  echo '{"private":true}' >package.json
  npm install --silent --ignore-scripts node-gyp@12.4.0
  rm -rf node_modules package-lock.json
  record npm install --silent --ignore-scripts --no-audit --no-fund node-gyp@12.4.0
  keep node-npm "npm install node-gyp@12.4.0"
}

record_python_compile() {
  rm -rf "$work/python" && mkdir -p "$work/python" && cd "$work/python"
  cp "$(python_sources)"/[a-c]*.py .
  export PYTHONMALLOC=malloc
  record python3 -m compileall -q -f .
  unset PYTHONMALLOC
  keep python-compile "PYTHONMALLOC=malloc python3 -m compileall -q -f . (its own modules a to c)"
}

record_python_stock() {
  rm -rf "$work/python" && mkdir -p "$work/python" && cd "$work/python"
  cp "$(python_sources)"/*.py .
  record python3 -m compileall -q -f .
  keep python-stock "python3 -m compileall -q -f . (all its own modules)"
}

made_repository() {
  rm -rf "$work/git" && mkdir -p "$work/git" && cd "$work/git"
  git init -q -b main .
  python3 "$here/inputs/commits.py" | git fast-import --quiet
  git reset -q --hard
}

record_git_log() {
  made_repository
  record git log -p -M --stat
  keep git-log "git log -p -M --stat"
}

record_git_repack() {
  made_repository
  record git -c pack.threads=2 repack -adfq
  keep git-repack "git -c pack.threads=2 repack -adfq"
}

record_gcc() {
  cd "$work"
  record g++ -std=c++20 -O2 -I "$root/native" -c "$root/bench/native/convert.cc" -o convert.o
  keep gcc "cc1plus of g++ -std=c++20 -O2 -c convert.cc"
}

record_sqlite() {
  cd "$work"
  rm -f words.db
  record sqlite3 words.db ".read $here/inputs/queries.sql"
  keep sqlite "sqlite3 words.db '.read queries.sql'"
}

record_redis() {
  cd "$work"
  rm -rf "$work/raw"
  mkdir "$work/raw"
  PAGERUN_RECORD="$work/raw" LD_PRELOAD="$recorder" redis-server --port $redis_port --save '' --io-threads 2 \
    --io-threads-do-reads yes --lazyfree-lazy-user-del yes --lazyfree-lazy-server-del yes >"$work/out.txt" 2>&1 &
  server=$!
  until redis-cli -p $redis_port ping >"$work/ping.txt" 2>&1; do
    kill -0 $server
    sleep 0.1
  done
  redis-benchmark -p $redis_port -c 16 -P 8 -n 16000 -r 20000 -d 200 -q \
    -t set,get,incr,lpush,lpop,sadd,hset,zadd,mset >"$work/out.txt"
  redis-benchmark -p $redis_port -c 16 -P 8 -n 8000 -r 200 -q rpush list:__rand_int__ an-element-of-a-list >"$work/out.txt"
  redis-cli -p $redis_port flushall async >"$work/out.txt"
  redis-cli -p $redis_port shutdown nosave >"$work/out.txt" 2>&1 || true
  wait $server
  keep redis "redis-server --io-threads 2 --lazyfree-lazy-user-del yes, under redis-benchmark -c 16 -P 8 -r 20000 -d 200"
}

record_perl() {
  cd "$work"
  cp "$(perldoc -lm perldiag 2>"$work/out.txt" || find /usr/share/perl -name perldiag.pod | head -1)" perldiag.pod
  record perl "$(command -v pod2html)" --infile=perldiag.pod --outfile=perldiag.html
  keep perl "perl pod2html --infile=perldiag.pod"
}

[ $# -gt 0 ] || set -- node-tsc node-npm python-compile python-stock git-log git-repack gcc sqlite redis perl
for name in "$@"; do
  (record_"$(echo "$name" | tr - _)")
done
