"""A gateway with budgets, and a program that knows nothing of routing: OpenAI's own client.

    pip install 'routed-llm[gateway]' openai
    python examples/gateway_client.py

The program starts `routed serve` for as long as it runs; a gateway of yours runs for all programs.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI

CONFIG = Path(__file__).with_name("gateway.toml")


@contextmanager
def gateway() -> Iterator[str]:
    """Run a gateway on a free port, and give its address."""
    command = [str(Path(sys.executable).with_name("routed")), "serve", "--port", "0", "--config", str(CONFIG)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().split(" at ")[1].split(";")[0]
        finally:
            running.terminate()


def main() -> None:
    """Make one call through the gateway, for a team."""
    # It is called before it listens: the client asks again.
    with gateway() as url, OpenAI(base_url=url, api_key="any", max_retries=6) as client:
        completion = client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "What is a tide?"}],
            extra_body={"routing": {"scope": {"team": "search"}}},
        )
    routing = completion.to_dict()["routing"]
    assert isinstance(routing, dict)
    print(f"{routing['served']} answered for ${routing['cost']}: {routing['why']}")
    for row in routing["remaining"]:
        print(
            f"{row['scope'] or 'everybody'}: ${row['remaining']} of ${row['limit']} left this {row['period']}"
        )


if __name__ == "__main__":
    main()
