"""Public prices of models: what a token costs, in cents, and how a bill is computed."""

from __future__ import annotations

from .core import Call, Record, Refusal, handles
from .seed import MODELS

# provider → model → cents per token of input, of output
PRICES: dict[str, dict[str, tuple[float, float]]] = {
    "openai": {
        "gpt-5": (0.000125, 0.001),
        "gpt-4": (0.003, 0.006),
        "gpt-4o": (0.00025, 0.001),
        "gpt-4o-mini": (0.000015, 0.00006),
        "gpt-3.5-turbo": (0.00005, 0.00015),
        "dall-e-3": (0.0, 0.0),
        "text-embedding-3-small": (0.000002, 0.0),
    },
    "anthropic": {"claude-3-5-sonnet-20241022": (0.0003, 0.0015), "claude-3-opus": (0.0015, 0.0075)},
    "google": {"gemini-2.0-flash": (0.00001, 0.00004)},
    "reference": dict.fromkeys(MODELS.values(), (0.0001, 0.0002)),
}
IMAGES = {
    "standard": {"1024x1024": {"price": 4}, "1024x1792": {"price": 8}},
    "hd": {"1024x1024": {"price": 8}, "1024x1792": {"price": 12}},
}
UNITS = {
    "web_search": {"price": 1},
    "file_search": {"price": 0.25},
    "search": {"price": 1},
    "thinking_token": {"price": 0.001},
}


def cost_of(model: str, prompt: int, completion: int) -> float:
    """What a call costs in US dollars; a model without a price costs what the reference ones do."""
    known = (models[model] for models in PRICES.values() if model in models)
    price = next(known, PRICES["reference"][MODELS["chat"]])
    return (prompt * price[0] + completion * price[1]) / 100


def _times(units: str, rate: str) -> Record:
    return {"operation": "multiply", "operands": [{"value": units}, {"value": f"rates.{rate}"}]}


@handles("getModelPricing")
def get_model_pricing(call: Call) -> Record:
    prices = PRICES.get(call.path["provider"], {})
    found = prices.get(call.path["model"])
    if found is None:
        raise Refusal(404, "Model not found")
    request, response = found
    rates: Record = {
        "request_token": {"price": request},
        "response_token": {"price": response},
        "cache_write_input_token": {"price": 0},
        "cache_read_input_token": {"price": request / 2},
        "request_audio_token": {"price": 0},
        "response_audio_token": {"price": 0},
        "cache_read_audio_input_token": {"price": 0},
        "additional_units": UNITS,
    }
    if "image" in call.path["model"] or call.path["model"].startswith("dall-e"):
        rates["image"] = IMAGES
    operands = [
        _times("input_tokens", "request_token"),
        _times("cache_write_tokens", "cache_write_input_token"),
        _times("cache_read_tokens", "cache_read_input_token"),
    ]
    return {
        "pay_as_you_go": rates,
        "calculate": {
            "request": {"operation": "sum", "operands": operands},
            "response": _times("output_tokens", "response_token"),
        },
        "currency": "USD",
        "finetune_config": {"pay_per_token": {"price": request * 3}, "pay_per_hour": {"price": 0}},
    }
