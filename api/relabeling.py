"""A new job of another one's images: labels put right, the sheet made differently."""

import json

from api.image_intake import ImageIntake
from api.submission import Submission
from api.submission_readers import SubmissionReader
from api.validation import parse_json
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_record import JobInputs
from shared.job_spec import JobSpec, RelabelRequest, Template
from shared.schemas import SourceImage


def relabel_reader(job_id: str, inputs: JobInputs, request: RelabelRequest) -> SubmissionReader:
    """The images of the job `job_id`, copied in storage, with the labels and the spec asked for.

    Raises `GridscribeError`: INVALID_REQUEST for an index that the job lacks, JOB_EXPIRED where it
    goes while it is read.
    """
    images = _corrected(inputs.images, request)
    spec = _changed(inputs.spec, request.spec)

    async def read(intake: ImageIntake) -> Submission:
        try:
            await intake.copy(images)
        except FileNotFoundError as error:
            raise GridscribeError(
                ErrorCode.JOB_EXPIRED, f"the files of job {job_id!r} are being removed"
            ) from error
        return Submission(intake.job_id, spec, intake.images(), has_matched_rows=inputs.has_csv)

    return read


def _corrected(images: tuple[SourceImage, ...], request: RelabelRequest) -> tuple[SourceImage, ...]:
    unknown = sorted(index for index in request.labels if index >= len(images))
    if unknown:
        detail = f"there is no such image; the job has {len(images)}, counted from 0"
        raise GridscribeError(
            ErrorCode.INVALID_REQUEST,
            f"labels.{unknown[0]}: {detail}",
            errors=[ErrorLocation(f"labels.{index}", detail) for index in unknown[:20]],
        )
    return tuple(
        image.model_copy(update={"correction": request.labels[index]})
        if index in request.labels
        else image
        for index, image in enumerate(images)
    )


def _changed(made: JobSpec, asked: JobSpec) -> JobSpec:
    kept = made.model_dump(mode="json", exclude_unset=True)
    if asked.template is not None:
        kept = {name: value for name, value in kept.items() if name not in Template.model_fields}
    merged = kept | asked.model_dump(mode="json", exclude_unset=True)
    # Read again as a whole: what each half may say can contradict the other.
    return parse_json(JobSpec, json.dumps(merged).encode(), root="spec")
