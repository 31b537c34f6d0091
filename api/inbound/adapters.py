"""All senders that are understood: one file each, one interface."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from api.inbound import cloudevents, comfyui_api, deadline_cloud, fal, replicate, runpod, s3
from api.inbound.message import Message
from shared.inbound_collections import InboundEvent
from shared.inbound_sources import Adapter, SourceFields

Reader = Callable[[Message, SourceFields], tuple[InboundEvent, ...]]
"""What a genuine message tells. Raises `GridscribeError` INVALID_REQUEST for one that cannot be
understood; one that is understood and calls for nothing gives an event without frames or end."""

ADAPTERS: Mapping[Adapter, Reader] = MappingProxyType(
    {
        Adapter.CLOUDEVENTS: cloudevents.read,
        Adapter.S3: s3.read,
        Adapter.DEADLINE_CLOUD: deadline_cloud.read,
        Adapter.REPLICATE: replicate.read,
        Adapter.COMFYUI_API: comfyui_api.read,
        Adapter.FAL: fal.read,
        Adapter.RUNPOD: runpod.read,
    }
)
