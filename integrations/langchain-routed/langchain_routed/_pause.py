"""A pause of the garbage collector while much is imported.

An import allocates hundreds of thousands of objects that all stay, so that every collection that falls into
it, three of them full ones for langchain-openai and this package, looks for garbage where there is none. They
take a tenth of the time; one collection after the pause does for all of them.
"""

import gc
from types import TracebackType

__all__ = ["Pause"]


class Pause:
    """Stops the collector for a block and leaves it as it was."""

    def __enter__(self) -> None:
        """Stop it."""
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it run again if it ran before."""
        if self._was_on:
            gc.enable()
