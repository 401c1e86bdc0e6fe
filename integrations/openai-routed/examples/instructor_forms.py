"""instructor: `from_openai` takes the client."""

import instructor
from openai_routed import OpenAI
from pydantic import BaseModel


class Sea(BaseModel):
    """A form of answer."""

    name: str
    depth: int


def main() -> list[str]:
    """Ask for a form by way of tools, of a schema, and in parts."""
    said = []
    with OpenAI() as client:
        asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Which sea?"}]}
        for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
            form = instructor.from_openai(client, mode=mode)
            said.append(repr(form.chat.completions.create(response_model=Sea, **asked)))
        parts = instructor.from_openai(client).chat.completions.create_partial(response_model=Sea, **asked)
        said.append(repr(list(parts)[-1]))
    return said


if __name__ == "__main__":
    print(main())
