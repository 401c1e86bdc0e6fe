"""Reading requests: from messages and parameters to RequestFacts and the texts still to be counted."""

from routed_llm.request.builder import Request, RequestBuilder
from routed_llm.request.openai_format import read_openai

__all__ = ["Request", "RequestBuilder", "read_openai"]
