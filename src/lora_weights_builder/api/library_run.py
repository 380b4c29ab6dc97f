"""Index jobs over this server's catalogue: the library's indexer, its files read in worker processes.

Reading happens in other processes even with one worker, so that arithmetic never holds up the answers of this one.
"""

from __future__ import annotations

from collections.abc import Callable

from lora_weights_builder.api.jobs import IndexRequest, RunIndex
from lora_weights_builder.config import Settings
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import ProgressEvent, ScanSummary


def library_run(catalog: Catalog, settings: Settings) -> RunIndex:
    """The function that an index job runs."""

    def run(
        request: IndexRequest, on_event: Callable[[ProgressEvent], None], should_stop: Callable[[], bool]
    ) -> ScanSummary:
        # Here, in the job's own thread: arithmetic takes long to import, and the server is to answer before.
        from lora_weights_builder.library.conventions import load_conventions
        from lora_weights_builder.library.indexer import IndexOptions, index
        from lora_weights_builder.library.reread import reread
        from lora_weights_builder.library.workers import ProcessPool

        options = IndexOptions(full=request.full, conventions=load_conventions(settings.conventions))
        if request.entry is not None:
            with ProcessPool(1) as executor:
                return reread(
                    catalog,
                    request.entry,
                    executor=executor,
                    options=options,
                    on_event=on_event,
                    should_stop=should_stop,
                )
        with ProcessPool(settings.jobs) as executor:
            return index(
                catalog,
                request.roots,
                executor=executor,
                options=options,
                on_event=on_event,
                should_stop=should_stop,
            )

    return run
