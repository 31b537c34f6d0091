"""What the client library raises."""

from shared.schemas import Job, Problem


class ClientError(Exception):
    """Everything below: catch it where the kind does not matter."""


class ApiError(ClientError):
    """The service refused; `problem` says why."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.detail} ({problem.status} {problem.code})")
        self.problem = problem
        self.retry_after = retry_after
        """Seconds after which the service says that it may help to ask again."""

    @property
    def status(self) -> int:
        return self.problem.status

    @property
    def code(self) -> str:
        """Stable, such as `job_not_found`: `shared.errors.ErrorCode` lists them."""
        return self.problem.code


class ServerUnreachableError(ClientError):
    """No answer came, or none of a Gridscribe service, whatever was tried."""


class JobTimeoutError(ClientError):
    """The job goes on, but waiting for it took longer than allowed; `job` is its last state."""

    def __init__(self, job: Job, seconds: float) -> None:
        super().__init__(f"job {job.id} is still {job.status} after {seconds:g} s")
        self.job = job


class UnusableArgumentError(ClientError, ValueError):
    """What the caller gave cannot be sent; nothing was."""
