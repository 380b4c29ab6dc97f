"""The catalogue's counts for those who ask every second, recounted only as often as counting is cheap.

Counting looks at every entry: a millisecond for a thousand, the better part of a second for a million.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import Final

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import CatalogSummary

SHARE: Final = 0.1  # of the time may go into counting


class Counts:
    """Counts that may be a little old: by ten times what it takes to count. Safe to share between threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._counted: CatalogSummary | None = None
        self._occasion: Hashable = None
        self._good_until = 0.0

    def get(self, occasion: Hashable) -> CatalogSummary:
        """The counts, counted again at the latest when ``occasion`` differs from that of the call before.

        Raises:
            CatalogError: the database cannot be read.
        """
        with self._lock:
            began = time.monotonic()
            if self._counted is None or began >= self._good_until or occasion != self._occasion:
                self._counted = self._catalog.summary()
                ended = time.monotonic()
                self._occasion = occasion
                self._good_until = ended + (ended - began) / SHARE
            return self._counted
