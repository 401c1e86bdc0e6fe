"""OpenAI's Batch API: a file of Chat requests in, answers in its order out, each at the least price in time.

:class:`BatchJob` plans, submits and collects; ``routed batch`` is the same as commands. (For decisions on
columns of a table see :mod:`routed_llm.batch`.)
"""

from routed_llm.batches.job import BatchJob, Summary
from routed_llm.batches.provider import ApiError, Provider

__all__ = ["ApiError", "BatchJob", "Provider", "Summary"]
