"""The web page at `/`. It holds nothing of anybody: whoever uses it brings a key to the API."""

from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response

from api.response_headers import is_known
from api.web_page import HEADERS, INDEX, page_files

router = APIRouter(include_in_schema=False)

IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/")
async def get_page(if_none_match: IfNoneMatch = None) -> Response:
    return _answer(INDEX, if_none_match)


@router.get("/static/{name:path}")
async def get_page_file(name: str, if_none_match: IfNoneMatch = None) -> Response:
    return _answer(name, if_none_match)


def _answer(name: str, if_none_match: str | None) -> Response:
    file = page_files().get(name)
    if file is None:
        raise HTTPException(404)
    headers = {**HEADERS, "ETag": file.etag}
    if is_known(file.etag, if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
