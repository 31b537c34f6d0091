"""Random lives of jobs, step by step, on a real server: see `job_life_machine`."""

from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from shared.settings import Settings
from tests.integration.job_life_machine import JobLife


def test_no_order_of_steps_breaks_the_life_of_a_job(settings: Settings) -> None:
    class Machine(JobLife):
        pass

    Machine.settings = settings.model_copy(
        update={
            "chunk_size": 2,
            "job_window": 2,
            "max_attempts": 2,
            "lease_seconds": 3600,
            "store_timeout_seconds": 60,
        }
    )
    run_state_machine_as_test(
        Machine,
        settings=hypothesis_settings(
            max_examples=4,
            stateful_step_count=20,
            deadline=None,
            # Not to explain: that traces every line, which takes far longer than the steps.
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
