"""Run OpenAI's JavaScript SDK, from npm, against `routed serve` over the simulator.

Needs node and npm. The SDK is installed into a folder of its own and not kept.

Usage: python scripts/javascript_sdk.py
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from routed_llm.simulator import serve

HERE = Path(__file__).parent


def main() -> int:
    """Run the cases and return their exit code, or 1 when the API refused a request."""
    with tempfile.TemporaryDirectory() as folder, serve() as simulator:
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, "openai"], check=True)
        shutil.copy(HERE / "javascript_sdk.mjs", folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        upstream = {**os.environ, "OPENAI_BASE_URL": simulator.url, "OPENAI_API_KEY": "sk-up"}
        command = [str(Path(sys.executable).parent / "routed"), "serve", "--port", str(port)]
        gateway = subprocess.Popen(command, env=upstream, stdout=subprocess.DEVNULL)
        try:
            wait(f"http://127.0.0.1:{port}/health")
            there = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "any"}
            script = ["node", "javascript_sdk.mjs"]
            done = subprocess.run(script, cwd=folder, env={**os.environ, **there}, check=False)
        finally:
            gateway.terminate()
            gateway.wait(30)
        refused = simulator.refused
        print(f"{len(simulator.journal)} requests, {len(refused)} refused")
        for entry in refused:
            print(f"  {entry.path} {entry.model}: {entry.message}")
    return done.returncode or bool(refused)


def wait(url: str) -> None:
    """Wait until something answers."""
    for _ in range(1200):
        try:
            urllib.request.urlopen(url)
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer.")


if __name__ == "__main__":
    sys.exit(main())
