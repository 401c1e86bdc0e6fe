"""An OpenAI-compatible server on 127.0.0.1 that enforces the real API's per-model rules, from its own data.

::

    from routed_llm.simulator import serve

    with serve(at=date(2026, 11, 22)) as simulator:
        client = OpenAI(base_url=simulator.url, api_key="any")
"""

from routed_llm.simulator.answer import Script
from routed_llm.simulator.faults import Fault, FaultPlan
from routed_llm.simulator.journal import Entry
from routed_llm.simulator.simulator import Simulator, run, serve

__all__ = ["Entry", "Fault", "FaultPlan", "Script", "Simulator", "run", "serve"]
