# Prints a made history of text files for `git fast-import`: the same one every time.
# Owns the history that the git traces are recorded on.
import random
import sys

COMMITS = 1500
FILES = 150
random.seed(7)
SYLLABLES = [c + v for c in "bdfgklmnprst" for v in "aeiou"]
WORDS = ["".join(random.choice(SYLLABLES) for _ in range(random.randint(2, 4))) for _ in range(500)]


def lines(count):
    return [" ".join(random.choice(WORDS) for _ in range(random.randint(2, 12))) for _ in range(count)]


def put(text):
    sys.stdout.write("data %d\n%s\n" % (len(text), text))


def edit(text):
    for _ in range(random.randint(1, 8)):
        place = random.randrange(len(text) + 1)
        choice = random.random()
        if choice < 0.4:
            text[place:place] = lines(random.randint(1, 5))
        elif choice < 0.7:
            text[place : place + random.randint(1, 4)] = []
        elif text:
            text[min(place, len(text) - 1)] = lines(1)[0]


def name(index):
    return "%s/%s%d.txt" % (random.choice(["core", "docs", "lib", "test"]), random.choice(WORDS), index)


files = {name(index): lines(random.randint(20, 400)) for index in range(FILES)}
for commit in range(COMMITS):
    sys.stdout.write("commit refs/heads/main\ncommitter A <a@b.c> %d +0000\n" % (1600000000 + commit * 3600))
    put("change %d: %s" % (commit, " ".join(random.choice(WORDS) for _ in range(6))))
    changed = sorted(files) if commit == 0 else random.sample(sorted(files), random.randint(1, 6))
    for path in changed:
        if commit:
            edit(files[path])
        sys.stdout.write("M 100644 inline %s\n" % path)
        put("\n".join(files[path]) + "\n")
    if commit % 10 == 5:
        old = random.choice(sorted(files))
        new = old.replace(".txt", "x.txt")
        files[new] = files.pop(old)
        sys.stdout.write("R %s %s\n" % (old, new))
