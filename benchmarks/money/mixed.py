"""Predicted against billed: 500 requests of every kind, through RoutedChatModel.

    python -m benchmarks.money.mixed [--seed N] [--requests N]

What is predicted stands in ``response_metadata["routing"]["estimated_cost"]``; the bill is the simulator's.
``errors.py`` says what the columns are.

The shares were set before anything was run. Published statistics count tokens, not requests by what is in
them: over half of all tokens go to programming and to models that reason, prompts have grown fourfold within
a year to some 5,000 tokens and for code 20,000 (OpenRouter and a16z, State of AI, 2025-12). So chats and
steps of agents get as much as each other, questions on long documents half of that, and what nobody has
published a share of gets what is left, each enough to be seen. Sizes are published ones:

* chats: prompts and answers as in AzureLLMInferenceTrace_conv (Azure/AzurePublicDataset, 2023, CC BY 4.0),
  two turns in three go on;
* agents: instructions of 1,248 tokens, twelve calls a task, every other one a function call; calls, messages
  and results as in gpt-4o's (sierra-research/tau-bench, historical_trajectories/gpt-4o-airline.json, MIT);
* documents: 2,000 to 20,000 tokens, three questions to each, answers as in chats. Nothing but the text says
  that it was sent before, so an estimate is right about the cache only for a mean of such calls;
* extraction: a text as long as a chat's prompt, into a schema of four to eight fields;
* labels: one word of a fixed list, with a cap of 16 tokens;
* images, PDFs, recordings: one or two of common sizes, with a question; service tiers: chats at flex. The
  size at which a PDF's pages are rendered is not published; the simulator and the router take different ones.
"""

from __future__ import annotations

import argparse
import base64
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_routed import RoutedChatModel

from benchmarks.money.errors import Sent, report
from benchmarks.money.estimates import DAY, LEARNT, TOOL, prose
from benchmarks.recovery.conversations import png, wav
from routed_llm import Catalog, Router
from routed_llm.simulator import Simulator, serve

SHARES = {
    "chat": 0.30, "agent": 0.30, "document": 0.15, "extraction": 0.10, "label": 0.05,
    "image": 0.04, "pdf": 0.03, "flex": 0.02, "audio": 0.01,
}  # fmt: skip

# At each tenth of the calls, least and most included.
PROMPTS = (2, 207, 387, 403, 703, 1_020, 1_071, 1_130, 1_315, 2_734, 14_050)
ANSWERS = (7, 54, 77, 91, 103, 129, 177, 384, 400, 424, 1_000)
STEPS = (10, 27, 33, 40, 47, 54, 65, 77, 108, 160, 457)
RESULTS = (1, 1, 4, 111, 223, 244, 261, 281, 315, 345, 2_885)
CALLS = (1, 9, 9, 10, 11, 13, 19, 23, 51, 75, 292)
INSTRUCTIONS, STEPS_OF_A_TASK = 1_248, 12
PAGE = 450
"""Tokens of a page of a PDF: some 350 words, a full page."""
LABELS = ("billing", "delivery", "returns", "other")
FIELDS = ("name", "company", "city", "date", "amount", "currency", "reason", "reference")

Step = Callable[[], None]


def draw(random: Random, tenths: tuple[int, ...]) -> int:
    """Draw from a distribution that is given by its tenths."""
    place = random.random() * (len(tenths) - 1)
    low = int(place)
    return max(round(tenths[low] + (tenths[low + 1] - tenths[low]) * (place - low)), 1)


class Traffic:
    """Sends requests and notes what was predicted and billed."""

    def __init__(self, simulator: Simulator, *, seed: int, observe: bool) -> None:
        self.random = Random(seed)
        self.sent: list[Sent] = []
        self._simulator = simulator
        self._catalog = Catalog.load()
        self._llm = RoutedChatModel(
            base_url=simulator.url, api_key="none", router=Router(observe=observe, clock=lambda: DAY)
        )
        self._asked = 0

    def call(
        self, kind: str, messages: list[BaseMessage], answer: str | None, *, calls: Any = (), **settings: Any
    ) -> AIMessage:
        """Send a request, say what it is answered with, and note it."""
        if answer is not None or calls:
            self._simulator.script(answer, tool_calls=calls)
        before = len(self._simulator.journal)
        reply = self._llm.invoke(messages, **settings)
        assert isinstance(reply, AIMessage)
        routing = reply.response_metadata["routing"]
        billed = sum(float(entry.dollars) for entry in self._simulator.journal[before:])
        used, model = routing["usage"], self._catalog.get(routing["model"])
        tier = settings.get("service_tier", "standard")
        price = model.price(DAY, tier=tier, input_tokens=used["input_tokens"]) or model.price(DAY)
        assert price is not None
        thought = used.get("reasoning_tokens", 0)
        turns = [message for message in messages if isinstance(message, AIMessage)]
        written = turns[-1].usage_metadata["output_tokens"] if turns and turns[-1].usage_metadata else 0
        self.sent.append(
            Sent(
                kind=kind,
                predicted=float(routing["estimated_cost"]),
                billed=billed,
                expected=routing["output_tokens"],
                said=used["output_tokens"] - thought,
                thought=thought,
                rate=price.output / 1e12,
                seen=(
                    "tools" in settings,
                    bool(turns),
                    math.log(routing["input_tokens"] + 1),
                    len(messages),
                    isinstance(messages[-1], ToolMessage),
                    math.log(written + 1),
                    settings.get("max_tokens", 0),
                    len(str(settings.get("response_format", ""))),
                ),
            )
        )
        return reply

    def text(self, tokens: int) -> str:
        """Write a text that was not written before."""
        self._asked += 1
        return prose((self._asked, self.random.random()), tokens)

    def chat(self, kind: str = "chat", **settings: Any) -> Iterator[Step]:
        """One to several turns."""
        messages: list[BaseMessage] = []
        while True:
            messages.append(HumanMessage(self.text(draw(self.random, PROMPTS))))
            yield lambda: messages.append(
                self.call(kind, messages, self.text(draw(self.random, ANSWERS)), **settings)
            )
            if self.random.random() > 2 / 3:
                return

    def agent(self) -> Iterator[Step]:
        """A task of an agent: each call of a function is followed by its result and a message."""
        messages: list[BaseMessage] = [SystemMessage(prose("instructions", INSTRUCTIONS))]

        def step(calls: tuple[Any, ...]) -> None:
            said = None if calls else self.text(draw(self.random, STEPS))
            messages.append(self.call("agent", list(messages), said, calls=calls, tools=[TOOL]))

        for _ in range(STEPS_OF_A_TASK // 2):
            messages.append(HumanMessage(self.text(draw(self.random, STEPS))))
            # The literal's values are of several types.
            call = (TOOL["function"]["name"], {"order_id": self.text(draw(self.random, CALLS))})  # type: ignore[index]
            yield lambda call=call: step((call,))
            reply = messages[-1]
            assert isinstance(reply, AIMessage)
            for made in reply.tool_calls:
                result = self.text(draw(self.random, RESULTS))
                messages.append(ToolMessage(result, tool_call_id=str(made["id"])))
            yield lambda: step(())

    def document(self) -> Iterator[Step]:
        """Three questions to a document."""
        document = self.text(self.random.randint(2_000, 20_000))
        for _ in range(3):
            asked: list[BaseMessage] = [HumanMessage(document + "\n\n" + self.text(20))]
            yield lambda asked=asked: self.once("document", asked, self.text(draw(self.random, ANSWERS)))

    def extraction(self) -> Iterator[Step]:
        """Fields out of a text, as structured output."""
        fields = FIELDS[: self.random.randint(4, 8)]
        schema = {
            "type": "object",
            "properties": {field: {"type": "string"} for field in fields},
            "required": list(fields),
            "additionalProperties": False,
        }
        form = {"type": "json_schema", "json_schema": {"name": "fields", "strict": True, "schema": schema}}
        asked: list[BaseMessage] = [HumanMessage(self.text(draw(self.random, PROMPTS)))]
        yield lambda: self.once("extraction", asked, None, response_format=form)

    def label(self) -> Iterator[Step]:
        """One word of a list."""
        asked: list[BaseMessage] = [
            SystemMessage(f"Say which it is about, in one word: {', '.join(LABELS)}."),
            HumanMessage(self.text(draw(self.random, PROMPTS))),
        ]
        yield lambda: self.once("label", asked, self.random.choice(LABELS), max_tokens=16)

    def media(self, kind: str) -> Iterator[Step]:
        """A question on pictures, a PDF or a recording."""
        blocks: list[dict[str, Any]] = [{"type": "text", "text": self.text(30)}]
        for _ in range(self.random.randint(1, 2)):
            if kind == "image":
                size = self.random.choice(((512, 512), (1_024, 1_024), (1_600, 900)))
                blocks.append({"type": "image_url", "image_url": {"url": png(*size)}})
            elif kind == "audio":
                data = wav(self.random.choice((5, 20, 60)))
                blocks.append({"type": "input_audio", "input_audio": {"format": "wav", "data": data}})
            else:
                file = {
                    "filename": "a.pdf",
                    "file_data": pdf([self.text(PAGE) for _ in range(self.random.randint(1, 12))]),
                }
                blocks.append({"type": "file", "file": file})
        # A list of dicts is one of LangChain's content types, but lists are invariant.
        asked: list[BaseMessage] = [HumanMessage(blocks)]  # type: ignore[arg-type]
        yield lambda: self.once(kind, asked, self.text(draw(self.random, ANSWERS)))

    def once(self, kind: str, asked: list[BaseMessage], answer: str | None, **settings: Any) -> None:
        """Send a request that nothing follows."""
        self.call(kind, asked, answer, **settings)

    def begin(self, kind: str) -> Iterator[Step]:
        """Begin a conversation of a kind."""
        if kind == "flex":
            return self.chat("flex", service_tier="flex")
        if kind in ("image", "pdf", "audio"):
            return self.media(kind)
        begun: Iterator[Step] = getattr(self, kind)()
        return begun

    def run(self, requests: int) -> None:
        """Send so many requests, as many of each kind as its share; several conversations go on at once."""
        left = Counter({kind: round(share * requests) for kind, share in SHARES.items()})
        going: dict[str, Iterator[Step]] = {}
        while left.total():
            kind = self.random.choices(list(left), weights=left.values())[0]
            step = next(going[kind], None) if kind in going else None
            if step is None:
                going[kind] = self.begin(kind)
                step = next(going[kind])
            step()
            left[kind] -= 1


def pdf(texts: list[str]) -> str:
    """Make a PDF of a page for each text, as a data URL."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    pages = []
    for text in texts:
        words = (
            text.encode("ascii", "ignore")
            .decode()
            .replace("\\", "")
            .replace("(", "")
            .replace(")", "")
            .split()
        )
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        shown = "BT /F1 9 Tf 11 TL 50 750 Td " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
        objects.append(f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream")
        pages.append(f"{len(objects) + 1} 0 R")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {len(objects)} 0 R >>"
        )
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(pages)}] /Count {len(pages)} >>"
    data, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    data += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{data.index('xref')}\n%%EOF"
    return "data:application/pdf;base64," + base64.b64encode(data.encode()).decode()


def main() -> int:
    """Send the requests without history, then with it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    for observe in (False, True):
        with serve(at=DAY) as simulator:
            traffic = Traffic(simulator, seed=options.seed, observe=observe)
            traffic.run(options.requests)
            if observe:
                report(f"after {LEARNT} calls", traffic.sent[LEARNT:])
            else:
                report("without history", traffic.sent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
