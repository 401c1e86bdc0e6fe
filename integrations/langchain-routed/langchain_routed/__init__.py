"""A LangChain chat model that picks the OpenAI model for each call."""
