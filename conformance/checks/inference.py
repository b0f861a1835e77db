"""The checks of inference, all registered by importing this."""

from conformance.checks import chat, chat_streams, completions, embeddings, media, models  # noqa: F401
