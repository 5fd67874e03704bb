"""Stores that tests fill in their own process, without a cluster."""

from pathlib import Path

from nephoscope.atlas.manifest import read_status
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare
from nephoscope.atlas.store import Store
from nephoscope.atlas.worker import Job, Segmenter
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.testing.worldview_server import WorldviewServer


def client(server: WorldviewServer) -> WorldviewClient:
    """A client that asks a server for small pictures."""
    return WorldviewClient(server.address, None, tries=1, degrees=0.1)


def fill(folder: Path, plan: Plan, model: Path, archive: WorldviewClient) -> Store:
    """Create, open or extend a store, and do what is missing."""
    store, content = prepare(str(folder), plan, str(model))
    segmenter = Segmenter(Job("job", store.address, archive, content))
    segmenter.setup(None)
    for batch in read_status(store.manifest).unfinished:
        segmenter.process(batch, 2)
    return store
