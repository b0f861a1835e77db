"""Parameters of inference that make an answer mechanical: how many, in which form, cut where.

Where a target honestly refuses a parameter, what it would have shown is not applicable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.story import NotShown, Story
from conformance.exercise.world import Unprepared
from conformance.model import Purpose

CHAT, COMPLETION, EMBED = "createChatCompletion", "createCompletion", "createEmbedding"
MODERATE, SPEECH = "createModeration", "createSpeech"
TRANSCRIBE, TRANSLATE = "createTranscription", "createTranslation"
TOOL = {
    "type": "function",
    "function": {
        "name": "note_weather",
        "description": "Write down the weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
        },
    },
}
NAMED = {"type": "function", "function": {"name": "note_weather"}}


@dataclass
class Asking:
    """Asks one thing after another on one operation, and notes what is refused on the way."""

    story: Story
    operation: str
    refused: list[str] = field(default_factory=list)

    async def __call__(self, about: str | Sequence[str], **options: Any) -> None:
        """One step that must be taken; a refusal keeps the next ones from nothing."""
        reply = await self.story.send(self.operation, about=about, **options)
        if 400 <= reply.status < 500:
            names = about if isinstance(about, str) else ", ".join(about)
            self.refused.append(f"the step for {names} is refused with {reply.status}")

    def end(self) -> None:
        """Raises NotShown for what was refused."""
        if self.refused:
            raise NotShown(f"{self.operation}: {'; '.join(self.refused)}")


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@scenario("chat-choices", CHAT, needs=("chat",))
async def chat_choices(story: Story) -> None:
    """Two choices are asked for, then one cut short by a cap."""
    ask = Asking(story, CHAT)
    await ask(("CHAT-01", "CHAT-02"), merge={"n": 2})
    counting = user("Write the numbers from one to two hundred in words.")
    await ask(("CHAT-05", "CHAT-13"), merge={"messages": counting, "max_tokens": 16})
    ask.end()


@scenario("chat-logprobs", CHAT, needs=("chat",))
async def chat_logprobs(story: Story) -> None:
    """Log probabilities are asked for, and top ones without them."""
    ask = Asking(story, CHAT)
    await story.send(CHAT, merge={"top_logprobs": 2}, about="CHAT-14", expect="refused")
    await ask("CHAT-06", merge={"logprobs": True, "top_logprobs": 2})
    ask.end()


@scenario("chat-forms", CHAT, needs=("chat",))
async def chat_forms(story: Story) -> None:
    """Content as JSON, and content that ends before a stop sequence."""
    ask = Asking(story, CHAT)
    as_json = {"type": "json_object"}
    question = user("Answer in JSON: what is two plus two?")
    await ask("CHAT-08", merge={"messages": question, "response_format": as_json})
    words = user("Repeat these words: one two three stopping four.")
    await ask("CHAT-09", merge={"messages": words, "stop": ["stopping"]})
    ask.end()


@scenario("chat-tools", CHAT, needs=("chat", "function-tools"))
async def chat_tools(story: Story) -> None:
    """A function is forced by its name, required, and forbidden."""
    ask = Asking(story, CHAT)
    rain: dict[str, Any] = {"messages": user("It rains in Paris. Note the weather."), "tools": [TOOL]}
    for choice in (NAMED, "required", "none"):
        await ask(("CHAT-03", "CHAT-07"), merge={**rain, "tool_choice": choice})
    ask.end()


@scenario("completion-choices", COMPLETION, needs=("chat",))
async def completion_choices(story: Story) -> None:
    """Two completions of each of two prompts; then fewer than asked for of the best."""
    ask = Asking(story, COMPLETION)
    await story.send(COMPLETION, merge={"n": 2, "best_of": 1}, about="CMP-08", expect="refused")
    await ask(("CMP-01", "CMP-02", "CMP-06"), merge={"prompt": ["Say yes.", "Say no."], "n": 2})
    ask.end()


@scenario("completion-text", COMPLETION, needs=("chat",))
async def completion_text(story: Story) -> None:
    """The prompt comes back before the text; a stop sequence does not; tokens come with their chances."""
    ask = Asking(story, COMPLETION)
    await ask("CMP-03", merge={"echo": True})
    await ask("CMP-04", merge={"prompt": "One, two, three", "stop": [","]})
    await ask("CMP-05", merge={"logprobs": 2})
    ask.end()


@scenario("embeddings-order", EMBED, needs=("embedding",))
async def embeddings_order(story: Story) -> None:
    """Three texts, two of them equal; then the same two the other way round."""
    ask = Asking(story, EMBED)
    tea, snow = "A cup of green tea.", "Snow lies on the northern mountains."
    await ask(("EMB-01", "EMB-05"), merge={"input": [tea, snow, tea]})
    await ask(("EMB-01", "EMB-05"), merge={"input": [snow, tea]})
    ask.end()


@scenario("embeddings-forms", EMBED, needs=("embedding",))
async def embeddings_forms(story: Story) -> None:
    """One text as numbers, as base64, and in fewer dimensions."""
    ask = Asking(story, EMBED)
    await ask(("EMB-03", "EMB-06"), merge={"encoding_format": "float"})
    await ask("EMB-03", merge={"encoding_format": "base64"})
    await ask("EMB-02", merge={"dimensions": 16})
    ask.end()


@scenario("embeddings-refused", EMBED, needs=("embedding",))
async def embeddings_refused(story: Story) -> None:
    """An empty text, and one text more than a request may hold."""
    for wrong in ("", ["a"] * 2049):
        await story.send(EMBED, merge={"input": wrong}, about="EMB-07", expect="refused")


@scenario("moderation-several", MODERATE, needs=("moderation",))
async def moderation_several(story: Story) -> None:
    """A harmless text and a threat are moderated together."""
    ask = Asking(story, MODERATE)
    await ask(("MOD-01", "MOD-04"), merge={"input": ["A cup of green tea.", "I want to kill them."]})
    ask.end()


@scenario("images-drawn", "createImage", needs=("image",))
async def images_drawn(story: Story) -> None:
    """An image by URL, two in base64, and one of a size that there is not."""
    ask = Asking(story, "createImage")
    await story.send("createImage", merge={"size": "17x23"}, about="IMG-05", expect="refused")
    await ask(("IMG-02", "IMG-04"), merge={"response_format": "url"})
    packed = {"response_format": "b64_json", "size": "256x256", "n": 2}
    await ask(("IMG-01", "IMG-02", "IMG-03"), merge=packed)
    ask.end()


def parts(*fixed: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """A form: the parts given, then one field for each keyword (each value of a list, under ``name[]``)."""
    found = list(fixed)
    for name, value in fields.items():
        many = value if isinstance(value, list) else [value]
        label = f"{name}[]" if isinstance(value, list) else name
        found += [{"name": label, "value": one} for one in many]
    return found


PICTURE = {"name": "image", "file": {"$file": "png"}}
NO_PICTURE = {"name": "image", "file": {"$file": "txt"}}
PACKED = {"model": {"$model": "image"}, "response_format": "b64_json", "size": "256x256"}
BY_URL = {"model": {"$model": "image"}, "response_format": "url"}


async def _from_picture(story: Story, operation: str, **more: Any) -> None:
    ask = Asking(story, operation)
    await story.send(operation, body=parts(NO_PICTURE, **BY_URL, **more), about="IMG-06", expect="refused")
    await ask(("IMG-01", "IMG-02", "IMG-03"), body=parts(PICTURE, n=2, **PACKED, **more))
    await ask(("IMG-02", "IMG-04"), body=parts(PICTURE, **BY_URL, **more))
    ask.end()


@scenario("images-edited", "createImageEdit", needs=("image", "uploads"))
async def images_edited(story: Story) -> None:
    """A picture is edited, in base64 and by URL; a file that is none is refused."""
    await _from_picture(story, "createImageEdit", prompt="A red circle")


@scenario("images-varied", "createImageVariation", needs=("image", "uploads"))
async def images_varied(story: Story) -> None:
    """A picture is varied, in base64 and by URL; a file that is none is refused."""
    await _from_picture(story, "createImageVariation")


@scenario("speech-formats", SPEECH, needs=("speech",))
async def speech_formats(story: Story) -> None:
    """One word in every format."""
    ask = Asking(story, SPEECH)
    for shape in ("mp3", "opus", "aac", "flac", "wav", "pcm"):
        await ask("AUD-01", merge={"response_format": shape})
    ask.end()


@scenario("speech-limits", SPEECH, needs=("speech",))
async def speech_limits(story: Story) -> None:
    """Too long a text, a voice nobody has, and speeds out of range."""
    for wrong in ({"input": "a" * 4097}, {"voice": "no-such-voice"}, {"speed": 0.1}, {"speed": 5}):
        await story.send(SPEECH, merge=wrong, about="AUD-02", expect="refused")


SOUND = {"name": "file", "file": {"$file": "wav"}}
LISTENING = {"model": {"$model": "transcription"}}


@scenario("transcription-forms", TRANSCRIBE, needs=("transcription", "uploads"))
async def transcription_forms(story: Story) -> None:
    """A recording is written down in each form there is."""
    ask = Asking(story, TRANSCRIBE)
    for shape in ("json", "text", "srt", "vtt"):
        await ask("AUD-03", body=parts(SOUND, **LISTENING, response_format=shape))
    ask.end()


@scenario("transcription-times", TRANSCRIBE, needs=("transcription", "uploads"))
async def transcription_times(story: Story) -> None:
    """Times of words and of segments are asked for, also where the form has no room for them."""
    ask = Asking(story, TRANSCRIBE)
    plain = parts(SOUND, **LISTENING, response_format="json", timestamp_granularities=["word"])
    await story.send(TRANSCRIBE, body=plain, about="AUD-05", expect="refused")
    grains = ["word", "segment"]
    verbose = parts(SOUND, **LISTENING, response_format="verbose_json", timestamp_granularities=grains)
    await ask(("AUD-03", "AUD-04", "AUD-05"), body=verbose)
    ask.end()


@scenario("translation-language", TRANSLATE, needs=("transcription", "uploads"))
async def translation_language(story: Story) -> None:
    """A recording is translated, and told in full."""
    ask = Asking(story, TRANSLATE)
    await ask("AUD-06", body=parts(SOUND, **LISTENING, response_format="verbose_json"))
    ask.end()


@scenario("models-listed", "listModels", serial=True)
async def models_listed(story: Story) -> None:
    """A window of the list, the list backwards, and a filter that leaves nothing, between whole lists."""
    about = "MDL-01"
    await story.send("listModels", about=about)
    await story.send("listModels", query={"limit": 2, "offset": 1}, about=about)
    await story.send("listModels", query={"sort": "name", "order": "desc"}, about=about)
    nobody = {"provider": "no-such-provider"}
    await story.send("listModels", query=nobody, about=about, facts={"unknown_provider": True})
    await story.send("listModels", about=about)


@scenario("model-found", "retrieveModel", "listModels", needs=("chat",))
async def model_found(story: Story) -> None:
    """A listed model is read by itself, as is the target's own; one that does not exist is not found."""
    listed = await story.send("listModels")
    if isinstance(first := listed.get("data.0.id"), str) and first:
        await story.send("retrieveModel", path={"model": first}, about="MDL-02")
    await story.send("retrieveModel", about="MDL-02")
    nobody = {"model": {"$unknown": "model-"}}
    await story.send("retrieveModel", path=nobody, about="MDL-03", expect="refused")


@scenario("model-deleted", "deleteModel", "retrieveModel")
async def model_deleted(story: Story) -> None:
    """A model that the target file gives away is deleted, and is gone then."""
    case = story.plan.canonical("deleteModel")
    story.plan.permit("deleteModel", case)
    several = story.plan.target.given_lists.get("disposable_models", ())
    path = {"model": several[-1]} if several else dict(case.path)
    removed = await story.send("deleteModel", path=path, about="MDL-04")
    if not removed.ok:
        raise Unprepared(f"deleteModel answered {removed.status}")
    await story.send("retrieveModel", path=path, about="MDL-04", expect="refused")


@scenario("realtime-opened", "connectRealtime", needs=("realtime", "chat"))
async def realtime_opened(story: Story) -> None:
    """A realtime connection is opened, greets, and is closed; the same request without an upgrade follows."""
    await story.send("connectRealtime", about=("RT-01", "RT-02"))
    case = story.plan.canonical("connectRealtime")
    plain = replace(case, purpose=Purpose.SCENARIO, id="connectRealtime:plain", method="GET")
    await story.world.step(plain, {"about": ["RT-03"], "plain": True})
