"""Print the body of a Chat Completions call of about so many tokens.

As in: python examples/long_request.py 300000 | routed explain -
"""

import json
import sys

ENTRY = "Entry {}: pump {} ran {} minutes at {} degrees; all well."
ENTRY_TOKENS = 20  # of one such line in o200k_base, its line break included


def body(tokens: int) -> dict[str, object]:
    """Make a request as an application written for gpt-4o would."""
    numbers = range(100, 100 + tokens // ENTRY_TOKENS)
    log = "\n".join(ENTRY.format(n, n % 97, n * 37 % 1439, n * 13 % 89) for n in numbers)
    question = f"{log}\n\nWhich pump ran hottest?"
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": 500,
    }


if __name__ == "__main__":
    print(json.dumps(body(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)))
