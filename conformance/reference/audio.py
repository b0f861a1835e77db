"""Speech, transcriptions, translations."""

from __future__ import annotations

import time

from .core import Answer, Call, Record, Refusal, Upload, handles
from .faults import declare
from .sounds import LONGEST, sound, wav_seconds
from .text import count, digest, logprob, serving, tokens
from .usage import finish

PITCHES = {"alloy": 220, "echo": 180, "fable": 260, "onyx": 140, "nova": 300, "shimmer": 340}
SPEECH_RATE = 12.0  # tokens a second
declare("speech-always-mp3", "speech is mp3, whatever format was asked for")
declare("transcript-always-json", "a transcript as text, srt or vtt comes as JSON")
declare("transcript-takes-idle-granularities", "granularities are taken without verbose_json")


@handles("createSpeech")
def create_speech(call: Call) -> Answer:
    started = time.perf_counter()
    body: Record = call.body
    model = serving(call, body["model"])
    read = count(body["input"])
    seconds = round(min(LONGEST, max(0.1, read / SPEECH_RATE / body.get("speed", 1.0))), 1)
    shape = body.get("response_format", "mp3")
    media, content = sound(shape, PITCHES.get(body["voice"], 200), seconds)
    if call.fault("speech-always-mp3"):
        _, content = sound("mp3", 200, seconds)
    headers = finish(call, {}, model=model, prompt=read, completion=0, started=started)
    return Answer(content, media_type=media, headers=headers)


def _duration(upload: Upload) -> float:
    seconds = wav_seconds(upload.content)
    return round(len(upload.content) / 16_000 if seconds is None else seconds, 3)


def _heard(upload: Upload, prompt: str, duration: float) -> str:
    """What the gateway hears: it knows the name, the length and the fingerprint of the sound."""
    mark = digest(upload.content) % 10_000
    opening = f"{prompt.strip()} " if prompt.strip() else ""
    return f"{opening}A recording named {upload.filename or 'audio'}, {duration} seconds long, number {mark}."


def _clock(seconds: float, mark: str) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours:02d}:{minutes:02d}:{whole % 60:02d}{mark}{int(seconds % 1 * 1000):03d}"


def _segment(text: str, duration: float, temperature: float) -> Record:
    return {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": duration,
        "text": text,
        "tokens": [digest(one) % 50_000 for one in tokens(text)],
        "temperature": temperature,
        "avg_logprob": logprob(text, 0),
        "compression_ratio": round(len(text) / max(1, len(set(text))), 3),
        "no_speech_prob": 0.01,
    }


def _written(call: Call, language: str, *, words: bool) -> Answer:
    started = time.perf_counter()
    body: Record = call.body
    upload: Upload = body["file"]
    model = serving(call, body["model"])
    duration = _duration(upload)
    text = _heard(upload, body.get("prompt", ""), duration)
    shape = body.get("response_format", "json")
    if call.fault("transcript-always-json") and shape != "verbose_json":
        shape = "json"
    headers = finish(
        call, {"text": text}, model=model, prompt=round(duration), completion=count(text), started=started
    )
    if shape == "text":
        return Answer(text + "\n", media_type="text/plain; charset=utf-8", headers=headers)
    if shape == "srt":
        timed = f"1\n{_clock(0, ',')} --> {_clock(duration, ',')}\n{text}\n\n"
        return Answer(timed, media_type="application/x-subrip", headers=headers)
    if shape == "vtt":
        timed = f"WEBVTT\n\n{_clock(0, '.')} --> {_clock(duration, '.')}\n{text}\n\n"
        return Answer(timed, media_type="text/vtt; charset=utf-8", headers=headers)
    if shape != "verbose_json":
        return Answer({"text": text}, headers=headers)
    answer: Record = {"task": "transcribe" if words else "translate", "language": language}
    answer |= {"duration": duration, "text": text}
    wanted = body.get("timestamp_granularities[]", ["segment"])
    if "segment" in wanted or not words:
        answer["segments"] = [_segment(text, duration, body.get("temperature", 0))]
    if "word" in wanted and words:
        spoken = text.split()
        each = duration / len(spoken)
        answer["words"] = [
            {"word": one, "start": round(place * each, 3), "end": round((place + 1) * each, 3)}
            for place, one in enumerate(spoken)
        ]
    return Answer(answer, headers=headers)


@handles("createTranscription")
def create_transcription(call: Call) -> Answer:
    idle = call.body.get("response_format") != "verbose_json" and "timestamp_granularities[]" in call.body
    if idle and not call.fault("transcript-takes-idle-granularities"):
        raise Refusal(400, "Granularities need verbose_json.", param="timestamp_granularities")
    return _written(call, call.body.get("language", "english"), words=True)


@handles("createTranslation")
def create_translation(call: Call) -> Answer:
    return _written(call, "english", words=False)
