"""Two deployments on Azure: each call goes to the one that serves it best, and nowhere else.

export AZURE_OPENAI_ENDPOINT=https://acme.openai.azure.com/openai/v1 AZURE_OPENAI_API_KEY=...
python examples/azure_deployments.py
"""

import os
from collections.abc import Mapping

from openai_routed import OpenAI

DEPLOYMENTS = {"team-4o": "gpt-4o", "team-luna": "gpt-5.6-luna"}  # deployment: the model that it runs


def main(deployments: Mapping[str, str] = DEPLOYMENTS) -> None:
    """Make one short call, and say why the other deployment does not serve a long one."""
    client = OpenAI(
        base_url=os.environ["AZURE_OPENAI_ENDPOINT"],
        api_key=os.environ["AZURE_OPENAI_API_KEY"],
        deployments=deployments,
    )
    answer = client.responses.create(model="gpt-4o", input="What is a tide?")
    print(f"{answer.routing['model']} answered for ${answer.routing['cost']}: {answer.routing['why']}")

    long = client.explain(model="gpt-4o", input="All is well. " * 60_000)
    print(f"{long.model} would read 180,000 tokens; {long.reasons_against('gpt-4o')[0].text}")


if __name__ == "__main__":
    main()
