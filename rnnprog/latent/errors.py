"""What can go wrong in the latent wing, each error naming the condition, the value and the way out."""

from __future__ import annotations

from rnnprog.errors import RnnprogError

_EXTRA = frozenset({"torch", "transformers", "safetensors", "tokenizers", "matplotlib"})


class LatentError(RnnprogError, ValueError):
    """Base of every error that this wing raises on purpose; catch it to handle all of them."""


class BackboneMismatchError(LatentError):
    """A bank or an adapter belongs to another backbone, or to another method."""


class BankError(LatentError):
    """A bank is unusable: wrong width, wrong number of users, not finite."""


class TurnTooLongError(LatentError):
    """A turn or a question has more tokens than the encoder takes."""


class EmptyConversationError(LatentError):
    """There is nothing to write or nothing to ask."""


class CapacityError(LatentError):
    """The bank is smaller than one write needs."""


class DeviceMemoryError(RnnprogError, RuntimeError):
    """The device ran out of memory even with a batch of one."""


class MissingExtraError(ImportError):
    """The optional packages of this wing are not installed."""

    @classmethod
    def because(cls, missing: ModuleNotFoundError) -> ImportError:
        """Translate a missing package of the extra; any other missing module is a bug and comes back as it is.

        >>> error = MissingExtraError.because(ModuleNotFoundError("No module named 'torch'", name="torch"))
        >>> print(error)
        The latent wing needs 'torch', which is not installed: pip install "rnnprog[latent]"
        """
        name = (missing.name or "").split(".")[0]
        if name not in _EXTRA:
            return missing
        return cls(f"The latent wing needs '{name}', which is not installed: pip install \"rnnprog[latent]\"")
