"""The size limit: networks with more parameters than the limit are never trained."""

from __future__ import annotations

from collections.abc import Callable

from ecoml.errors import UsageError
from ecoml.training.base import Executor, Sized
from ecoml.trial import Config

Parameters = Callable[[Config], int]
"""Returns the number of trainable parameters of a configuration's network."""


class SizeLimit:
    """Whether configurations describe networks that are small enough.

    Args:
        most: The largest number of parameters; None: no limit.
        parameters: Counts them before the network is built.

    Attributes:
        smallest: Parameters of the smallest network so far; None before the first.
        excluded: Whether any network was too large.
    """

    def __init__(self, most: int | None, parameters: Parameters | None) -> None:
        self.most = most
        self.smallest: int | None = None
        self.excluded = False
        self._parameters = parameters

    def __call__(self, config: Config) -> bool:
        """Whether the network has at most `most` parameters.

        Raises:
            UsageError: The function that counts them fails, or does not return a number.
        """
        if self.most is None or self._parameters is None:
            return True
        try:
            number = int(self._parameters(config))
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"parameters({dict(config)!r:.120}) raised {type(error).__name__}: {error}; it must"
                " return the number of trainable parameters"
            ) from error
        self.smallest = number if self.smallest is None else min(self.smallest, number)
        self.excluded |= number > self.most
        return number <= self.most

    @property
    def details(self) -> dict[str, int]:
        """The details for `SearchEnd` that concern the limit."""
        return {"excluded_above": self.most} if self.excluded and self.most is not None else {}

    def refusal(self) -> UsageError:
        """The error for a limit under which no network could be trained."""
        return UsageError(
            f"max_parameters is {self.most:,}, and no network so small was found: the smallest of those proposed has"
            f" {self.smallest:,}; give a larger max_parameters=, or a space with smaller"
            " networks"
        )


def size_limit(most: int | None, executor: Executor | None, parameters: Parameters | None) -> SizeLimit:
    """The limit, with the parameters counted by `parameters` or by the executor.

    Raises:
        UsageError: There is a limit, and neither of them can count.
    """
    count = parameters or (executor.parameters if isinstance(executor, Sized) else None)
    if most is not None and count is None:
        raise UsageError(
            "max_parameters needs the size of a network before it is trained, which only the built-in training knows;"
            " give a function that counts: parameters=lambda config: …"
        )
    return SizeLimit(most, count)
