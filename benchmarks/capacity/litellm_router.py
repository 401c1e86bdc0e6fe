"""litellm's own Router with usage-based routing, on simulated time.

An event loop whose clock is the simulated one runs it, and time-machine sets every other clock to that. What
it sends goes to a provider of its own (a ``CustomLLM``), which asks the simulated buckets.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import litellm
import time_machine
from litellm.types.router import RouterRateLimitError, RouterRateLimitErrorBasic
from litellm.types.utils import Choices, Message, ModelResponse
from litellm.types.utils import Usage as LiteUsage

if TYPE_CHECKING:
    from benchmarks.capacity.spread import Call, World

_TRIES = 400


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type] # it is an alias of one of several
    """Waits no time: it moves the simulated clock on instead."""

    loop: _Loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.loop.now += timeout
            self.loop.clock.move_to(self.loop.begun + self.loop.now)
        return found


class _Loop(asyncio.SelectorEventLoop):
    """An event loop on simulated time."""

    def __init__(self, clock: Any, begun: float) -> None:
        self.now, self.clock, self.begun = 0.0, clock, begun
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class _Provider(litellm.CustomLLM):  # type: ignore[misc] # litellm is not always installed
    """Asks the simulated buckets."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def acompletion(self, model: str, messages: list[Any], **_: Any) -> Any:
        call: Call = CALLS[messages[0]["content"].partition(" ")[0]]
        world, loop = self._world, asyncio.get_running_loop()
        world.now = loop.time()
        error = world.ask(call, model, lambda _: None)
        if error is not None:
            await asyncio.sleep(0.05)
            raise litellm.RateLimitError(str(error.error), "world", model)
        await asyncio.sleep(call.seconds(model))
        usage = LiteUsage(prompt_tokens=call.tokens, completion_tokens=call.said)
        answer = Choices(message=Message(content="word"), finish_reason="stop")
        return ModelResponse(model=model, choices=[answer], usage=usage)


CALLS: dict[str, Call] = {}


def usage_based(wanted: Sequence[Call], world: World, limits: Mapping[str, tuple[int, int]]) -> World:
    """Send calls through litellm's Router, all at once."""
    litellm.suppress_debug_info = True
    litellm.custom_provider_map = [{"provider": "world", "custom_handler": _Provider(world)}]
    begun = 1_796_040_000.0  # at a full minute
    with time_machine.travel(begun, tick=False) as clock:
        loop = _Loop(clock, begun)
        try:
            loop.run_until_complete(_all(wanted, world, limits))
        finally:
            loop.close()
    return world


async def _all(wanted: Sequence[Call], world: World, limits: Mapping[str, tuple[int, int]]) -> None:
    router = litellm.Router(
        model_list=[
            {
                "model_name": "any",
                "litellm_params": {"model": f"world/{model}", "tpm": tpm, "rpm": rpm, "api_key": "none"},
            }
            for model, (tpm, rpm) in limits.items()
        ],
        routing_strategy="usage-based-routing-v2",
        num_retries=2,
    )
    await asyncio.gather(*[_one(router, call, world) for call in wanted])


async def _one(router: Any, call: Call, world: World) -> None:
    """Make one call, again as often as it is given up for want of room."""
    CALLS[call.seed] = call
    messages = [{"role": "user", "content": f"{call.seed} {call.text}"}]
    for _ in range(_TRIES):
        try:
            await router.acompletion(model="any", messages=messages, max_tokens=300)
        except (litellm.RateLimitError, RouterRateLimitError, RouterRateLimitErrorBasic) as error:
            await asyncio.sleep(float(getattr(error, "cooldown_time", None) or 1.0))
        else:
            world.ended = max(world.ended, asyncio.get_running_loop().time())
            return
    world.failed += 1
