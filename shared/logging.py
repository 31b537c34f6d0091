"""One line a record, the same shape in every process."""

import logging
import sys


def configure_logging(process: str, level: str) -> None:
    """Send every logger's records to standard error, named after the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)-7s {process} %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("celery", "kombu", "amqp", "httpx", "httpcore", "PIL", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
