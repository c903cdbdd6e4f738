"""All pages together, for the door."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

from reconcile.web.pages import (
    events,
    inbox,
    outside,
    patients,
    start,
    studies,
    undoing,
    worklist,
)
from reconcile.web.pages.faces import Faces
from reconcile.web.pages.forging import checked

TOPICS = (start, worklist, patients, studies, events, undoing, inbox, outside)

router = APIRouter(dependencies=[Depends(checked)], include_in_schema=False)
for topic in TOPICS:
    router.include_router(topic.router)


def install(app: FastAPI) -> None:
    """Serve the pages. To be called last: what is wrong anywhere is told as one of them."""
    app.include_router(router)
    app.add_middleware(Faces)
