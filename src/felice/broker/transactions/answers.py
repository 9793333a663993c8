"""Codes of transactions as the version of a request knows them."""

from felice.errors import ErrorCode

__all__ = ["told"]


def told(code: ErrorCode, version: int, fenced_from: int) -> ErrorCode:
    """Return a code for a request of this version: before `fenced_from` there is no PRODUCER_FENCED (KIP-588)."""
    if code is ErrorCode.PRODUCER_FENCED and version < fenced_from:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code
