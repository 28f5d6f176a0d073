# Sorting with threads, compressors with and without threads, archives, awk's tables, and make with several jobs.
set -euo pipefail

awk 'BEGIN { for (i = 0; i < 400000; i++) { x = (x * 1103515245 + 12345) % 2147483648; print x, i } }' >numbers
sort --parallel=4 --buffer-size=4M -n numbers | sha256sum
sort --parallel=4 -k2,2r numbers | sha256sum
awk '{ count[$1 % 5003] += $2 } END { for (key in count) print key, count[key] }' numbers | sort -n | sha256sum
head -20000 numbers | awk '{ text = text $1 } END { gsub(/12/, "<&>", text); print length(text) }'

mkdir tree
for i in $(seq 1 200); do head -c $((i * 100)) numbers >"tree/file$i"; done
tar --sort=name --mtime=2020-01-01 --owner=0 --group=0 --numeric-owner -cf tree.tar tree
sha256sum tree.tar
gzip -9 -n <numbers | sha256sum
gzip -n <numbers | gunzip | cmp - numbers
xz -T2 --block-size=1MiB -2 <numbers >numbers.xz
xz -T1 -6 <tree.tar >tree.tar.xz
sha256sum numbers.xz tree.tar.xz
xz -d -T2 <numbers.xz | cmp - numbers
mkdir unpacked && tar -xf tree.tar.xz -C unpacked && diff -r tree unpacked/tree && echo "same files"

cat >Makefile <<'END'
inputs := $(sort $(wildcard tree/*))
sums := $(inputs:tree/%=sums/%)
all: total
total: $(sums)
	@cat $^ | sha256sum >$@
sums/%: tree/% | sums
	@sha256sum $< >$@
sums:
	@mkdir $@
END
make -j4
cat total
