# A history with branches, merges, renames and conflicts; logs, packs, a bundle, a clone; everything checked.
set -euo pipefail
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
tick=1500000000
commit() {
  tick=$((tick + 60))
  GIT_AUTHOR_DATE="$tick +0000" GIT_COMMITTER_DATE="$tick +0000" git commit -q "$@"
}

git init -q -b main repository
cd repository
git config pack.threads 2
for i in $(seq 1 40); do
  for f in 1 2 3 4 5; do seq $((i * f)) $((i * f + 300)) >"file$f"; done
  mkdir -p "folder$((i % 7))"
  seq 1 $((i * 20)) >"folder$((i % 7))/nested$i"
  git add -A
  commit -m "change $i"
done
git branch side HEAD~10
git checkout -q side
for i in $(seq 1 10); do
  seq 1 $((i * 50)) >"side$i"
  git add -A
  commit -m "side $i"
done
git mv file1 renamed1
commit -m "rename"
git checkout -q main
git rm -q file1
commit -m "remove"
git merge -q --no-commit side || git status --short
git checkout -q --theirs renamed1
git add -A
commit -m "merged"
git tag v1 HEAD~1

git log -p --stat -M --all | sha256sum
git log --graph --oneline --all -n 15
git blame -s file2 | sha256sum
git grep -c 17 HEAD~5 | sha256sum
git rev-list --objects --all | sort | sha256sum
git diff --stat HEAD~30 HEAD | tail -1
git gc -q --aggressive --prune=now
git fsck --full --strict
git repack -q -a -d -f --depth=20
git count-objects -v | grep -E '^(count|in-pack|packs|garbage)'
git bundle create -q ../all.bundle --all
git bundle verify -q ../all.bundle
cd ..
git clone -q --no-local repository clone
git clone -q -b main all.bundle other
git -C clone fsck --full
git -C other rev-parse HEAD
git -C clone archive HEAD | wc -c
diff -r --exclude=.git clone other && echo "same files"
