# compile.sh <compiler> <sources ...>: each source to an object file at -O2, then all of them to one library.
set -euo pipefail
compiler=$1
shift
for source in "$@"; do
  "$compiler" -std=c++20 -O2 -g -fno-exceptions -fno-rtti -fPIC -fdebug-prefix-map="$PWD=." -c "$source" -o "$(basename "$source" .cc).o"
done
"$compiler" -shared -Wl,--build-id=sha1 ./*.o -o library.so
sha256sum ./*.o library.so
