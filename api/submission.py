"""What a caller hands in for one job, whichever way it came."""

import hashlib
import json
from dataclasses import dataclass

from shared.job_spec import JobSpec
from shared.schemas import JobWarning, SourceImage


@dataclass(frozen=True, slots=True)
class Submission:
    job_id: str
    spec: JobSpec
    """As sent: no template applied."""
    images: tuple[SourceImage, ...]
    """Stored under the job's prefix."""
    csv: bytes | None = None
    warnings: tuple[JobWarning, ...] = ()
    has_matched_rows: bool = False
    """The rows of a CSV are with the images already."""

    def fingerprint(self) -> str:
        """The same for the same payload, however it was sent; where it is stored does not count."""
        images = [
            (i.name, i.sha256, i.label, i.metadata, *filter(None, [i.correction]))
            for i in self.images
        ]
        csv = None if self.csv is None else hashlib.sha256(self.csv).hexdigest()
        spec = self.spec.model_dump(mode="json", exclude_unset=True)
        payload = json.dumps([spec, csv, images], sort_keys=True)
        return hashlib.sha256(payload.encode()).hexdigest()


def choose_csv(
    part: bytes | None, in_archives: list[bytes]
) -> tuple[bytes | None, tuple[JobWarning, ...]]:
    """The request's own CSV, else the only one found in archives; a warning where any is left."""
    if part is None and len(in_archives) == 1:
        return in_archives[0], ()
    if not in_archives:
        return part, ()
    why = "a part 'csv' was sent" if part is not None else "there are several"
    detail = f"{len(in_archives)} CSV file(s) in the archive(s) left out: {why}"
    return part, (JobWarning(code="csv_left_out", detail=detail),)
