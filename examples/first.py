"""The README's first program, as it stands there."""

from langchain_routed import RoutedChatModel

llm = RoutedChatModel(model="gpt-4o", temperature=0)  # was: ChatOpenAI(model="gpt-4o", temperature=0)

answer = llm.invoke("What is the capital of Peru?")
routing = answer.response_metadata["routing"]
print(routing["served"], routing["why"], routing["cost"])
