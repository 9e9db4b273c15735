"""Bases of modules that are called."""

from __future__ import annotations

from typing import Any

from dachi_fast.module import BaseModule


class Process(BaseModule):
    """A module that is called: a subclass writes `forward`.

    Example:
        >>> from dachi_fast import Param, Process
        >>> class Add(Process):
        ...     amount: int = Param(default=1)
        ...     def forward(self, number):
        ...         return number + self.amount
        >>> Add(amount=2)(3)
        5
    """

    # In a type checker's eyes any signature overrides this one.
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Does the work.

        Raises:
            NotImplementedError: a subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Gives what `forward` gives."""
        return self.forward(*args, **kwargs)


class AsyncProcess(BaseModule):
    """A module whose work is awaited: a subclass writes `aforward`.

    Example:
        >>> import asyncio
        >>> from dachi_fast import AsyncProcess
        >>> class Ask(AsyncProcess):
        ...     async def aforward(self, question):
        ...         return f"{question}?"
        >>> asyncio.run(Ask().aforward("why"))
        'why?'
    """

    async def aforward(self, *args: Any, **kwargs: Any) -> Any:
        """Does the work.

        Raises:
            NotImplementedError: a subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no aforward()")
