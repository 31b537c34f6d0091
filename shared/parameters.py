"""The keys under which generation parameters are known, whichever tool made a picture."""

TEXT_PARAMETERS = ("prompt", "negative_prompt")
PARAMETERS = (
    *TEXT_PARAMETERS,
    "seed",
    "steps",
    "sampler",
    "scheduler",
    "cfg",
    "model",
    "size",
    "loras",
    "tool",
)
"""What is read from files. Anything else that `labels` asks for is a column of the caller's own."""

Parameters = dict[str, str | int | float]
"""Some of `PARAMETERS` with their values; flat, so that they can be drawn, compared and listed."""
