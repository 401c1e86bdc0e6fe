"""A LlamaIndex LLM that picks the OpenAI model for each call."""
