# Everything in bash that asks for memory: loops, arrays, functions, here-documents, pipes, substitutions, subshells.
set -euo pipefail

fibonacci() { if (($1 < 2)); then echo "$1"; else echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2))))); fi; }
echo "recursion through subshells: $(fibonacci 9)"

numbers=()
for ((i = 0; i < 20000; i++)); do numbers+=("number $i"); done
echo "array: ${#numbers[@]} ${numbers[19999]} ${numbers[@]: -3}"
numbers=("${numbers[@]/number/n}")
echo "replaced: ${numbers[777]}"
unset 'numbers[3]'
echo "holes: ${#numbers[@]}"

declare -A counts
while read -r word; do counts[$word]=$((${counts[$word]:-0} + 1)); done < <(for ((i = 0; i < 5000; i++)); do echo "w$((i * i % 97))"; done)
for word in $(printf '%s\n' "${!counts[@]}" | sort); do printf '%s=%s ' "$word" "${counts[$word]}"; done
echo

text=""
for ((i = 0; i < 3000; i++)); do text+="line $i of a string that grows"$'\n'; done
echo "string: ${#text} ${text:1000:20}"
upper=${text^^}
echo "upper: ${upper: -30:12}"

cat <<END | tr a-z A-Z
a here-document with $(echo substitution) and ${#numbers[@]} numbers
$(for i in 1 2 3; do echo "nested $i"; done)
END
cat <<<"a here-string"

printf '%s\n' {1..2000} | while read -r n; do echo $((n * n)); done | sort -n | tail -n 3

for i in 1 2 3 4 5 6 7 8; do (
  local_sum=0
  for ((j = 0; j < 500; j++)); do local_sum=$((local_sum + i * j)); done
  echo "subshell $i: $local_sum" >"part$i"
) & done
wait
cat part?

coproc DOUBLER { while read -r n; do echo $((n * 2)); done; }
doubler=$DOUBLER_PID
for i in 1 10 100; do
  echo $i >&"${DOUBLER[1]}"
  read -r doubled <&"${DOUBLER[0]}"
  echo "coprocess: $doubled"
done
eval "exec ${DOUBLER[1]}>&-"
wait "$doubler"

trap 'echo "trapped"' USR1
kill -USR1 $$
[[ "key=value" =~ ^([a-z]+)=(.*)$ ]] && echo "match: ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
mapfile -t lines < <(seq 1 10000)
echo "mapfile: ${#lines[@]}"
printf -v joined '%s,' "${lines[@]:0:5000}"
echo "joined: ${#joined}"
shopt -s globstar
mkdir -p a/b/c && touch a/{1..50} a/b/{1..50} a/b/c/{1..50}
files=(**/*)
echo "globbed: ${#files[@]}"
