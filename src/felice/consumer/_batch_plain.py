"""Batches and messages in plain Python: the twin of `_batch`, whose head tells how it all works.

The same tests run on both, and a property test holds them equal.
"""

from felice.consumer._reader_plain import Reader, scan
from felice.consumer._view_plain import AsyncMessages, Batch, Message, Messages

__all__ = ["AsyncMessages", "Batch", "Message", "Messages", "Reader", "scan"]
