#!/usr/bin/env python3
"""Writes orders in plain words with the JSON that a shop wants of them: a file a stage, for the recipes sft, dpo, grpo.

    python3 examples/orders.py FOLDER     # orders.jsonl, preferences.jsonl, prompts.jsonl
"""
import itertools
import json
import pathlib
import random
import sys

NAMES = "Ada Ben Cleo Dan Eva Finn Gina Hugo Ida Jon Kim Leo Mia Noah Olga Paul Quinn Rosa Sam Tess".split()
CITIES = "Rome Oslo Lima Cairo Delhi Paris Quito Seoul Tunis Vienna Bergen Porto".split()
ITEMS = "apples books candles drums eggs flutes gloves hats irons jars kites lamps".split()
FORMS = [
    "{name} in {city} wants {n} {item}.",
    "Please send {n} {item} to {name}, {city}.",
    "We need {n} {item}, for {name} who lives in {city}.",
    "Order from {city}: {item}, {n} of them, customer {name}.",
]
ASK = "Write this order as JSON with the keys name, city, item, count. "


def order(rng):
    facts = dict(name=rng.choice(NAMES), city=rng.choice(CITIES), item=rng.choice(ITEMS), n=rng.randint(2, 60))
    said = ASK + rng.choice(FORMS).format(**facts)
    wanted = {"name": facts["name"], "city": facts["city"], "item": facts["item"], "count": facts["n"]}
    return said, json.dumps(wanted)


def worse(rng, reply):
    """What a careless model says: prose, a key left out, or single quotes."""
    facts = json.loads(reply)
    prose = f"Sure! {facts['name']} from {facts['city']} ordered {facts['count']} {facts['item']}."
    out = rng.choice(["city", "count"])
    short = json.dumps({k: v for k, v in facts.items() if k != out})
    return rng.choice([prose, short, reply.replace('"', "'")])


def main(folder):
    rng = random.Random(7)
    seen, rows = set(), []
    while len(rows) < 2400:
        said, reply = order(rng)
        if said not in seen:
            seen.add(said)
            rows.append((said, reply))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = iter(rows)
    take = lambda n: itertools.islice(rows, n)
    write = lambda name, made: (folder / name).write_text("".join(json.dumps(row) + "\n" for row in made))
    write("orders.jsonl", [{"prompt": p, "completion": c} for p, c in take(800)])
    write("preferences.jsonl", [{"prompt": p, "chosen": c, "rejected": worse(rng, c)} for p, c in take(800)])
    write("prompts.jsonl", [{"prompt": p, "answer": c} for p, c in take(800)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
