"""What becomes of a unit whose attempt ended in an error."""

from shared.object_storage import is_out_of_space
from shared.work_units import Ticket
from worker.backend import Backend


def give_back(backend: Backend, ticket: Ticket, error: Exception) -> None:
    """Have it tried again: a few times, or for a full disk as often as it takes."""
    if is_out_of_space(error):
        backend.lifecycle.defer_attempt(ticket)
    else:
        backend.lifecycle.fail_attempt(ticket, f"{type(error).__name__}: {error}")
