"""The command `routed`: models, explain, simulate, demo.

Exit codes, the same for every subcommand:

* 0: done (``explain``: a model was chosen; ``demo``: the simulator refused no routed request);
* 1: an answer that is no success (``explain``: no model fits; ``demo``: a routed request failed);
* 2: bad input, or something that the command needs is missing. One line on stderr says what to do.
"""

from routed_llm.cli.main import main

__all__ = ["main"]
