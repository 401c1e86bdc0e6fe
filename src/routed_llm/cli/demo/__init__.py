"""`routed demo`: every kind of request, routed and beside plain gpt-4o, on a simulated OpenAI API.

`cases` has the requests as data, `samples` makes what they send, `running` sends them, `rendering`
shows what came back.
"""

from routed_llm.cli.demo.command import run

__all__ = ["run"]
