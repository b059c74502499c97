"""Lets a reward function in TRL's form score completions: `python3 regimen_reward.py my_rewards.py:accuracy`.

In the recipe: reward = [{ kind = "program", command = ["python3", "regimen_reward.py", "my_rewards.py:accuracy"] }].
`--messages` hands prompts and completions over as lists of messages, as TRL does for conversational data.
"""
import importlib.util, inspect, json, sys

path, _, name = sys.argv[1].partition(":")
spec = importlib.util.spec_from_file_location("rewards", path)
module = importlib.util.module_from_spec(spec)
answers, sys.stdout = sys.stdout, sys.stderr  # what the function prints must not mix with the answers
spec.loader.exec_module(module)
reward = getattr(module, name or "reward")
accepted = inspect.signature(reward).parameters
takes_all = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
for line in sys.stdin:
    group = json.loads(line)
    n, texts = len(group["completions"]), group["completions"]
    chat = "--messages" in sys.argv[2:]
    given = {key: [value] * n for key, value in group["columns"].items()}
    given.setdefault("answer", [group["answer"]] * n)
    given["prompts"] = [group["messages"] if chat else group["prompt"]] * n
    given["completions"] = [[{"role": "assistant", "content": text}] for text in texts] if chat else texts
    given["completion_ids"] = group["completion_ids"]
    try:
        scores = reward(**{k: v for k, v in given.items() if takes_all or k in accepted})
        answer = {"rewards": [None if s is None else float(s) for s in scores]}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
