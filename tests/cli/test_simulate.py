"""`routed simulate`, in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .conftest import Routed

COMMAND = Path(sys.executable).parent / "routed"


@contextmanager
def simulated(*words: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Start the command, wait for its two lines, and stop it if it is still there."""
    process = subprocess.Popen(
        [COMMAND, "simulate", "--port", "0", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", lines[0])
        assert found is not None, lines
        yield process, found[0], lines
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def ask(url: str, model: str, key: str) -> dict[str, object]:
    """Send one Chat Completions call and return its body, of an error too."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


def test_it_serves_until_interrupted() -> None:
    """It prints its address and variables, answers as of its date, and ends well on Ctrl-C."""
    with simulated("--at", "2026-11-22", "--key", "sk-test") as (process, url, lines):
        assert lines == [
            f"The simulated OpenAI API of 2026-11-22 answers at {url}; Ctrl-C stops it.\n",
            f"export OPENAI_BASE_URL={url} OPENAI_API_KEY=sk-test\n",
        ]
        assert ask(url, "gpt-4o", "sk-test")["object"] == "chat.completion"
        assert ask(url, "gpt-4o", "wrong")["error"]["code"] == "invalid_api_key"  # type: ignore[index]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_the_date_decides_what_is_served() -> None:
    """After its shutdown gpt-4o is refused."""
    with simulated("--at", "2027-01-15") as (_, url, _):
        assert ask(url, "gpt-4o", "any")["error"]["code"] == "model_not_found"  # type: ignore[index]


def test_a_port_in_use_gives_one_line(routed: Routed) -> None:
    """A port that cannot be had ends with 2 and says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = routed("simulate", "--port", str(port))
    error = f"routed simulate: Port {port}: Address already in use. Use another port, or --port 0.\n"
    assert (done.code, done.out, done.err) == (2, "", error)
