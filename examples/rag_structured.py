"""Answers from documents, in a fixed form with their sources: retrieval and structured output.

    python examples/rag_structured.py

`find` stands for your vector store. Only models that can keep to the form are chosen from.
"""

from langchain_routed import RoutedChatModel
from pydantic import BaseModel, Field

DOCUMENTS = {
    "manual.md": "The pump's seal is changed every 2,000 hours. Close both valves before opening the pump.",
    "warranty.md": "The warranty covers pumps for 24 months. Seals are wear parts and are not covered.",
    "prices.md": "A pump seal costs 12.50 EUR. A valve costs 40.00 EUR.",
}


class Answer(BaseModel):
    """An answer with what it rests on."""

    answer: str
    sources: list[str] = Field(description="the documents it was found in")


def find(question: str, most: int = 2) -> list[str]:
    """Return the names of the documents that share the most words with a question."""
    words = set(question.lower().split())
    shared = {name: len(words & set(text.lower().split())) for name, text in DOCUMENTS.items()}
    return sorted(shared, key=lambda name: -shared[name])[:most]


def main(question: str = "What does a pump seal cost?") -> Answer:
    """Answer one question, and say who answered."""
    context = "\n\n".join(f"{name}:\n{DOCUMENTS[name]}" for name in find(question))
    model = RoutedChatModel(model="gpt-4o", temperature=0).with_structured_output(Answer, include_raw=True)
    found = model.invoke(f"{context}\n\nAnswer from these documents: {question}")
    routing = found["raw"].response_metadata["routing"]
    print(f"{found['parsed']!r} by {routing['served']} for ${routing['cost']}")
    answer: Answer = found["parsed"]
    return answer


if __name__ == "__main__":
    main()
