"""DSPy goes through litellm, which sends everything through `client_session`: there the transport goes."""

import dspy
import httpx
import litellm
from openai_routed import RoutedTransport


def main() -> list[str]:
    """Ask twice, with and without parameters."""
    litellm.client_session = httpx.Client(transport=RoutedTransport(httpx.HTTPTransport()))
    try:
        lm = dspy.LM("openai/gpt-4o", cache=False)
        said = [repr(lm("What is a tide?")), repr(lm("And at Quito?", temperature=0.2, max_tokens=500))]
    finally:
        litellm.client_session.close()
        litellm.client_session = None
    return said


if __name__ == "__main__":
    print(main())
