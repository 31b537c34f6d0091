"""How fast pictures are captioned through the queue: `make bench-captioning`.

benchmarks/README.md says how to read the table.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.caption_agreement import Agreement, agreement_table, agreements
from benchmarks.caption_inputs import jpegs, pngs, random_model
from benchmarks.caption_scenarios import (
    Figure,
    Inputs,
    flatness,
    idle_overhead,
    memory_curve,
    new_vocabulary,
    old_rate,
    p95,
    small_beside_big,
    throughput,
)
from worker.captioning.cores import available_cores

REPORT = Path("docs/benchmarks/captioning.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-images", type=int, default=2000)
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/captioning.json"))
    parser.add_argument("--report", type=Path, help=f"write the tables too, as {REPORT} has them")
    arguments = parser.parse_args()
    console = Console()
    begun = time.monotonic()
    # One thread a core, which sleeps while it waits, as in the worker.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    data = arguments.data.resolve()
    pictures = data / "caption-pictures"
    inputs = Inputs(
        data, pictures, pngs(pictures), jpegs(pictures), random_model(data / "random-vit-b-32")
    )
    rounds = arguments.rounds
    sections: dict[str, list[Figure]] = {}

    def show(title: str, figures: list[Figure]) -> None:
        sections[title] = figures
        console.print(f"\n{title}\n" + "\n".join(table(figures)), markup=False, soft_wrap=True)

    old = old_rate(inputs, min(rounds, 3))
    show("The old way", [old])
    for backend, name in (("torch", "torch"), ("openvino", "OpenVINO")):
        show(
            f"Throughput with {name}, PNGs of 1024 x 1024",
            throughput(inputs, backend, rounds, old.median),  # type: ignore[arg-type] # both are
        )
    show("A small job beside a big one", small_beside_big(inputs, max(1, rounds // 2)))
    show("An idle service, `starter`", idle_overhead(inputs, 2 * rounds))
    show("600 new words in 7 templates", new_vocabulary(inputs))
    curve = memory_curve(inputs, arguments.memory_images)
    console.print(f"\nMemory over {arguments.memory_images} JPEGs of 4000 x 3000\n")
    console.print("\n".join(curve_table(curve)), markup=False)
    show("Memory of the captioning worker", [flatness(curve)])
    agreed = agreements(data)
    console.print("\nLabels against fp32\n\n" + "\n".join(agreement_table(agreed)), markup=False)
    found = {
        "machine": machine(),
        "seconds": time.monotonic() - begun,
        "figures": {title: [asdict(each) for each in rows] for title, rows in sections.items()},
        "memory": curve,
        "agreement": [asdict(each) for each in agreed],
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(report(sections, curve, agreed))


def table(figures: Sequence[Figure]) -> list[str]:
    rows = ["| | median | min to max | p95 | aim | met |", "| --- | --- | --- | --- | --- | --- |"]
    for each in figures:
        unit = f" {each.unit}" if each.unit else ""
        spread = f"{min(each.values):.3g} to {max(each.values):.3g}" if len(each.values) > 1 else ""
        tail = f"{p95(each.values):.3g}" if len(each.values) >= 10 else ""
        aim = f"{'≤' if each.at_most else '≥'} {each.aim:g}{unit}" if each.aim is not None else ""
        met = {None: "", True: "yes", False: "**no**"}[each.is_met]
        rows.append(
            f"| {each.name} | {each.median:.3g}{unit} | {spread} | {tail} | {aim} | {met} |"
        )
    return rows


def curve_table(curve: Sequence[tuple[int, float]]) -> list[str]:
    return [
        "| images done | " + " | ".join(str(done) for done, _ in curve) + " |",
        "| --- |" + " --- |" * len(curve),
        "| MB | " + " | ".join(f"{megabytes:.0f}" for _, megabytes in curve) + " |",
    ]


def machine() -> dict[str, object]:
    """What the figures depend on, and nothing that names the machine."""
    return {
        "cores": available_cores(),
        "architecture": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": torch.cpu._is_avx512_bf16_supported(),
        "torch": torch.__version__,
        "load_average": os.getloadavg()[0],
    }


def report(
    sections: dict[str, list[Figure]],
    curve: Sequence[tuple[int, float]],
    agreed: Sequence[Agreement],
) -> str:
    made_on = machine()
    lines = [
        "# Captioning: what was measured",
        "",
        "Written by `make bench-captioning`; `benchmarks/README.md` says how to read it.",
        "What was rejected stands in [decision 15](../decisions/0015-one-core-a-batch.md).",
        "",
        f"Machine: {made_on['cores']} cores, {made_on['architecture']}, {made_on['instructions']}"
        f"{' with bf16' if made_on['bf16'] else ''}; torch {made_on['torch']}; load average at the"
        f" end {made_on['load_average']:.1f}. Model: ViT-B-32, weights drawn by lot.",
    ]
    for title, figures in sections.items():
        lines += ["", f"## {title}", "", *table(figures)]
    lines += ["", "## Memory of the captioning worker, JPEGs of 4000 x 3000", ""]
    lines += curve_table(curve)
    lines += [
        "",
        "## Labels against float32",
        "",
        "No trained CLIP model was at hand, so this is `starter`'s classifier, run in other ways,",
        f"on {agreed[0].pictures} parts of real photos. A convolutional network of few weights",
        "suffers more from 8 bits than a transformer does.",
        "",
        *agreement_table(agreed),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
