"""Images: generations, edits and variations, as data URLs or base64."""

from __future__ import annotations

import base64
import time
from typing import Any

from .core import Answer, Call, Record, Refusal, handles
from .faults import declare
from .pictures import png
from .text import count, digest, serving
from .usage import finish

DEFAULT_MODEL = "dall-e-2"


def _images(call: Call, prompt: str, seeds: tuple[Any, ...]) -> Answer:
    started = time.perf_counter()
    body: Record = call.body
    model = serving(call, body.get("model") or DEFAULT_MODEL)
    width, _, height = (body.get("size") or "1024x1024").partition("x")
    data: list[Record] = []
    for index in range(body.get("n") or 1):
        picture = png(int(width), int(height), digest(prompt, index, *seeds))
        encoded = base64.b64encode(picture).decode()
        one: Record = {"revised_prompt": prompt}
        if body.get("response_format") == "b64_json":
            one["b64_json"] = encoded
        else:
            one["url"] = f"data:image/png;base64,{encoded}"
        data.append(one)
    answer = {"created": call.gateway.now(), "data": data}
    headers = finish(call, {}, model=model, prompt=count(prompt), completion=0, started=started)
    return Answer(answer, headers=headers)


@handles("createImage")
def create_image(call: Call) -> Answer:
    body = call.body
    return _images(call, body["prompt"], (body.get("style"), body.get("quality")))


declare("image-takes-any-file", "a file that is no picture is edited and varied")


def _must_be_picture(call: Call) -> None:
    is_one = call.body["image"].content[:8] == b"\x89PNG\r\n\x1a\n"
    if not is_one and not call.fault("image-takes-any-file"):
        raise Refusal(400, "The image must be a PNG file.", param="image")


@handles("createImageEdit")
def create_image_edit(call: Call) -> Answer:
    _must_be_picture(call)
    mask = call.body.get("mask")
    return _images(call, call.body["prompt"], (call.body["image"].content, mask.content if mask else b""))


@handles("createImageVariation")
def create_image_variation(call: Call) -> Answer:
    _must_be_picture(call)
    image = call.body["image"]
    return _images(call, f"a variation of {image.filename}", (image.content,))
