"""Examples for the OpenAPI document: one for each shape that a reader wants to see filled in."""

from typing import Any

from api.job_example import finished_job

_UPLOAD_ID = "01981c2e-5f02-7d11-9a44-83c0be5517aa"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# A red pixel: the smallest picture that every reader takes.
_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElF"
    "TkSuQmCC"
)
_UPLOAD = {
    "upload_id": _UPLOAD_ID,
    "name": "owl.png",
    "media_type": "image/png",
    "width": 1024,
    "height": 1024,
    "bytes": 1_583_201,
    "sha256": _SHA256,
    "expires_at": "2026-05-02T09:00:00Z",
}
_LABELED = {
    "index": 0,
    "name": "owl.png",
    "label": "barn owl",
    "label_source": "clip",
    "confidence": 0.83,
}
_DELIVERY_ID = "msg_4cf1f9a6e1b24be0a5a7c2a1f0d9e8b7"
_ENDPOINT = {
    "id": "01981c2e-5f02-7d11-9a44-83c0be5517ab",
    "url": "https://studio.example/hooks/gridscribe",
    "events": ["job.succeeded", "job.failed"],
    "description": "posts sheets to the channel",
    "created_at": "2026-04-30T09:00:00Z",
    "disabled": False,
}
_BOX = {"x": 10, "y": 10, "width": 256, "height": 256}

EXAMPLES: dict[str, Any] = {
    "JobRequest": {
        "spec": {"cols": 3, "title": "Owls", "metadata": {"shot": 7}},
        "images": [{"data": _PIXEL, "name": "owl.png", "label": "Barn owl"}],
    },
    "PreviewRequest": {"spec": {"cols": 3}, "count": 9},
    "RelabelRequest": {"labels": {"1": "Snowy owl"}, "spec": {"format": "pdf"}},
    "PresignRequest": {"name": "owl.png"},
    "Job": finished_job(),
    "Upload": _UPLOAD,
    "PresignedUpload": {
        "upload_id": _UPLOAD_ID,
        "name": "owl.png",
        "method": "PUT",
        "url": f"https://bucket.s3.amazonaws.com/uploads/default/{_UPLOAD_ID}?X-Amz-Signature=...",
        "url_expires_at": "2026-05-01T10:00:00Z",
        "expires_at": "2026-05-02T09:00:00Z",
        "max_bytes": 67_108_864,
    },
    "SourceRequest": {
        "name": "Blender farm",
        "adapter": "cloudevents",
        "auth": "bearer",
        "spec": {"title": "{name}", "cols": 12, "label_position": "overlay"},
        "allowed_hosts": ["*.farm.example"],
        "path_map": {"//server/renders/": "/mnt/renders/"},
        "quiet_seconds": 120,
    },
    "Receipt": {"accepted": 1, "duplicate": 0, "ignored": 0},
    "NewWebhookEndpoint": {
        "url": "https://studio.example/hooks/gridscribe",
        "events": ["job.succeeded", "job.failed"],
        "description": "posts sheets to the channel",
    },
    "WebhookEndpointChange": {"disabled": False},
    "SecretRotation": {"overlap_seconds": 3600},
    "WebhookEndpoint": _ENDPOINT,
    "NewlyMadeEndpoint": {
        **_ENDPOINT,
        "secret": "whsec_Zm9yIGV4YW1wbGVzIG9ubHksIG5ldmVyIGZvciB1c2U=",
    },
    "Delivery": {
        "id": _DELIVERY_ID,
        "type": "job.succeeded",
        "job_id": "019ceb98-cc48-7bd1-8e2c-9d4f5a6b7c8d",
        "endpoint_id": _ENDPOINT["id"],
        "url": "https://studio.example/hooks/gridscribe",
        "state": "pending",
        "created_at": "2026-05-01T09:00:00Z",
        "next_attempt_at": "2026-05-01T09:00:06Z",
        "attempts": [
            {
                "attempt": 1,
                "at": "2026-05-01T09:00:00Z",
                "duration_ms": 212,
                "status": 503,
                "answer": "restarting",
                "error": "it answered 503, not 2xx",
            }
        ],
        "urls": {
            "self": f"https://sheets.example/v1/deliveries/{_DELIVERY_ID}",
            "redeliver": f"https://sheets.example/v1/deliveries/{_DELIVERY_ID}/redeliver",
        },
    },
    "Manifest": {
        "version": 1,
        "rows": 1,
        "cols": 1,
        "pages": [{"page": 1, "width": 276, "height": 312}],
        "images": [
            {
                **_LABELED,
                "page": 1,
                "row": 0,
                "col": 0,
                "cell": {**_BOX, "height": 292},
                "picture": _BOX,
                "reasons": [],
                "facets": {"subject": [{"term": "barn owl", "score": 0.83}]},
                "model": "starter",
                "metadata": {},
            }
        ],
        "warnings": [],
    },
}
"""Name of a component schema to a value of that shape."""

DETAILS: dict[str, str] = {
    "invalid_request": "count: Input should be greater than or equal to 1, not 0",
    "invalid_spec": "spec.margin: Input should be greater than or equal to 0, not -5",
    "no_images": "the request has no images; send at least one part 'images'",
    "too_many_images": "images[1000]: 'owl.png' is one too many: a job may have 1000",
    "not_an_image": "images[3]: not an image: 'notes.txt' (PNG, JPEG, ... can be read)",
    "too_many_pixels": "images[3]: 'map.png' has 60000 x 60000 pixels; at most 100,000,000 are"
    " accepted",
    "file_too_large": "images[3]: 'map.png' is larger than 67,108,864 bytes, the most a file may"
    " have",
    "request_too_large": "the request is larger than 536,870,912 bytes; send fewer images at a"
    " time",
    "request_too_slow": "the request's body came too slowly: it may stall for 20 s",
    "unsupported_media_type": "Content-Type is text/plain; send multipart/form-data or"
    " application/json",
    "bad_archive": "images[0]: 'shots.zip': it is no zip file, or its end is missing",
    "bad_csv": "line 2 is not UTF-8; save the file as UTF-8",
    "unknown_column": "spec.labels[0]: there is no column 'price'; there are: filename, label",
    "unknown_template": "spec.template: there is no template 'nope'",
    "unknown_vocabulary": "spec.vocabulary: there is no vocabulary 'nope'; there are default",
    "unknown_upload": "images[0]: there is no upload '...', or it has expired; send it again",
    "url_not_allowed": "images[0].url: not allowed: its address is not public (private)",
    "fetch_failed": "images[0].url: cannot be fetched: it answered 404, not 200",
    "presign_not_offered": "this service keeps files in a folder, which has no links; send the"
    " file itself with POST /v1/uploads",
    "model_not_offered": "spec.clip_model: 'huge' is not offered here; offered: starter",
    "sheet_too_large": "a page of 132,810 x 132,810 pixels is too large",
    "template_not_found": "there is no template 'nope'; GET /v1/templates lists those there are",
    "template_read_only": "'default' is a built-in template and cannot be changed; choose another"
    " name",
    "template_exists": "there is a template 'mine' already; replace it with PUT /v1/templates/mine",
    "images_do_not_fit": "12 images do not fit into 3 x 3 cells, and overflow is 'error'",
    "too_many_values": "axes.rows_by: 'seed' has 900 values; an axis can have 500",
    "source_not_found": "there is no source '...'",
    "job_not_found": "there is no job '...'",
    "job_expired": "job '...' has expired; its files are gone",
    "job_not_cancelable": "the job ended as succeeded already",
    "job_not_retryable": "the job is running; only a failed or canceled one can be retried",
    "result_not_ready": "the job is running; ask again when its status is 'succeeded'",
    "endpoint_not_found": "there is no webhook endpoint '...'",
    "endpoint_disabled": "the webhook endpoint is disabled: its receiver answered 410 Gone",
    "delivery_not_found": "there is no delivery '...', or its log has expired",
    "idempotency_in_progress": "another request with this Idempotency-Key is still being accepted;"
    " send this one again shortly to get its job",
    "idempotency_mismatch": "this Idempotency-Key was used with a different payload; use a new key",
    "unauthenticated": "this service wants an API key; send 'Authorization: Bearer KEY'",
    "forbidden": "this is for the operator",
    "rate_limited": "too many requests a minute; go on after the pause that Retry-After names",
    "quota_exceeded": "1000 of your jobs are waiting or running already; try again when some have"
    " finished",
    "service_full": "the service's queue is full (10000 jobs); try again later",
    "service_unavailable": "the service cannot reach its store or its storage; try again shortly",
    "storage_full": "the service's storage is full; try again later",
}
"""Code of a problem to what its `detail` may say."""
