"""Whether an object store lets a second writer overwrite what a first one has written.

A Delta commit is a file that must not be there yet. A store that takes it a second time all the same loses the first
writer's run, and tells both that all is well: 21 of 59 commits were lost so on one that was measured. So it is tried,
before a run, with a file of its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import timedelta
from typing import Any, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from scanner.errors import HistoryError

_PROBE: Final = ".nightseal-probe"
_TIMEOUT: Final = timedelta(seconds=20)


def refuse_overwriting(url: str) -> None:
    """See that a file that is there is not written a second time where it must not be.

    Args:
        url: of the history. The store's client reads its credentials from their usual environment variables.

    Raises:
        HistoryError: it is, or the store can't be written to.
    """
    name = f"{_PROBE}-{secrets.token_hex(8)}"
    try:
        store: Any = from_url(
            url.rstrip("/"),
            client_options={"allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"},
            retry_config={"max_retries": 2, "retry_timeout": _TIMEOUT},
        )
        obstore.put(store, name, b"first", mode="create")
        try:
            obstore.put(store, name, b"second", mode="create")
        except AlreadyExistsError:
            return
        finally:
            with contextlib.suppress(BaseError):
                obstore.delete(store, name)
    except (BaseError, ValueError, NotImplementedError) as error:
        words = " ".join(str(error).split())[:300]
        raise HistoryError(f"{url}: the history cannot be written: {words}") from error
    raise HistoryError(
        f"{url}: this store silently lets a second writer overwrite what the first one wrote, so runs would be lost "
        f"(it ignores If-None-Match; use a store that honours it, or a folder)"
    )
