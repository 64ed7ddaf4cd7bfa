"""The records of the benchmarks, as pages for a static server and as JSON lines for a local reader.

The same number gives the same record on every machine: there is no random state, only a hash of the record's number and
of the seed. A record is written as text at once, because ten million of them pass through here.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

SEED = 0x9E3779B97F4A7C15
WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbour", "indigo", "juniper"]
COUNTRIES = ["NL", "DE", "BE", "FR", "GB"]
STATES = ["open", "shipped", "paid", "cancelled"]
# Pages that one worker makes before it is asked again.
CHUNK = 64


def record(n):
    """Fifteen fields of the usual kinds, about 530 bytes of JSON."""
    h = ((n + 1) * SEED) & 0xFFFFFFFFFFFFFFFF
    w = WORDS
    note = (f"{w[(h >> 9) % 10]} {w[(h >> 13) % 10]} {w[(h >> 17) % 10]} {w[(h >> 21) % 10]} {w[(h >> 25) % 10]} "
            f"{w[(h >> 29) % 10]} {w[(h >> 33) % 10]} {w[(h >> 37) % 10]} {w[(h >> 41) % 10]} {w[(h >> 45) % 10]} "
            f"{w[(h >> 49) % 10]} {w[(h >> 53) % 10]} ")
    email = "null" if n % 11 == 0 else f'"{w[(h >> 5) % 10]}.{h % 100000}@example.com"'
    month, day = h % 12 + 1, h % 28 + 1
    return (f'{{"id":{n},"guid":"{h:016x}-{n:012d}","customer":"Customer {w[(h >> 3) % 10]} {w[(h >> 7) % 10]} '
            f'{h % 5000:04d}","email":{email},"country":"{COUNTRIES[h % 5]}","ordered_at":"2024-{month:02d}-{day:02d}'
            f'T{h % 24:02d}:{h % 60:02d}:{h % 59:02d}Z","due_on":"2025-{month:02d}-{day:02d}","quantity":{h % 1000},'
            f'"price":{(h % 10_000_000) / 100},"discount":{(h % 1000) / 1000},"is_paid":{"true" if h % 3 == 0 else "false"},'
            f'"status":"{STATES[h % 4]}","note":"{note}{note}","address":{{"street":"{w[(h >> 11) % 10]} street {h % 300}",'
            f'"city":"{w[(h >> 15) % 10]}"}},"reference":"REF-{h % 1_000_000:06d}"}}')


def page_count(rows, size):
    return (rows + size - 1) // size


def write_pages(folder, path, rows, size, first, last):
    """The page files of this range. Their links are absolute paths below `path`."""
    for number in range(first, last):
        begin, end = number * size, min((number + 1) * size, rows)
        link = f'"{path}/{number + 1}.json"' if end < rows else "null"
        text = '{"data":[' + ",".join(map(record, range(begin, end))) + '],"next":' + link + "}"
        (folder / f"{number}.json").write_text(text)


def generate_pages(root, path, rows, size):
    """All pages of `rows` records, `size` a page, as files `{root}{path}/N.json`. What is there already is kept."""
    folder = Path(root) / path.strip("/")
    done = folder / ".done"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    count = page_count(rows, size)
    with ProcessPoolExecutor() as pool:
        starts = range(0, count, CHUNK)
        made = [pool.submit(write_pages, folder, path, rows, size, at, min(at + CHUNK, count)) for at in starts]
        for one in made:
            one.result()
    done.touch()


def generate_lines(file, rows):
    """The same records as JSON lines."""
    if os.path.exists(file):
        return
    with open(f"{file}.part", "w") as lines:
        for begin in range(0, rows, 1000):
            lines.write("\n".join(map(record, range(begin, min(begin + 1000, rows)))) + "\n")
    os.rename(f"{file}.part", file)


if __name__ == "__main__":
    sample = [record(n) for n in range(1000)]
    assert all(len(json.loads(text)) == 15 for text in sample)
    print(sum(map(len, sample)) / len(sample), sample[1])
