"""The farm's side of docs/render-farms.md, where its own software cannot be: just enough of each
library for the page's scripts to run as they stand. Gridscribe's side is always real."""

DEADLINE_EVENTS = """
class _Callbacks(list):
    def __iadd__(self, callback):
        self.append(callback)
        return self


class DeadlineEventListener:
    def __init__(self):
        self.OnJobFinishedCallback, self.OnJobFailedCallback = _Callbacks(), _Callbacks()
"""

DEADLINE_JOB = """
from types import SimpleNamespace

import plugin

job = SimpleNamespace(
    JobId="64f1c2", JobName="shot_070", JobFramesList=["1", "2", "3"],
    JobOutputDirectories=["//server/renders/shot_070"], JobOutputFileNames=["beauty.####.png"],
)
listener = plugin.GetDeadlineEventListener()
for callback in listener.OnJobFinishedCallback:
    callback(job)
job.JobId = "64f1c3"
for callback in listener.OnJobFailedCallback:
    callback(job)
plugin.CleanupDeadlineEventListener(listener)
"""

KAFKA = """
import json
from types import SimpleNamespace


class KafkaConsumer:
    def __init__(self, *topics, **options):
        assert topics == ("opencue.frame.events", "opencue.job.events"), topics
        assert options["enable_auto_commit"] is False
        self.committed = 0

    def __iter__(self):
        job = {"job_id": "fa7bbb9a", "job_name": "show-shot_070", "show": "show"}

        def event(kind, **more):
            return {"header": {"event_type": kind, "event_id": kind}, **job, **more}

        def frame(kind, number, layer="render"):
            return event(kind, frame_number=number, layer_name=layer)

        for told in (
            frame("FRAME_STARTED", 2), frame("FRAME_COMPLETED", 2), frame("FRAME_FAILED", 1),
            frame("FRAME_COMPLETED", 1), frame("FRAME_COMPLETED", 1, "denoise"),
            event("JOB_FINISHED", frame_count=3), event("JOB_KILLED") | {"job_id": "fa7bbb9b"},
        ):
            yield SimpleNamespace(value=json.dumps(told).encode())
            self.committed += 1

    def commit(self):
        pass
"""

MQTT = """
import json
from enum import Enum
from types import SimpleNamespace


class CallbackAPIVersion(Enum):
    VERSION2 = 2


class Client:
    def __init__(self, version):
        assert version is CallbackAPIVersion.VERSION2

    def connect(self, host):
        self.host = host

    def subscribe(self, topic, qos):
        assert (topic, qos) == ("flamenco/jobs", 1)

    def loop_forever(self):
        for job, status in (("f1", "active"), ("f1", "completed"), ("f2", "failed")):
            update = {"id": job, "status": status, "previous_status": "queued", "type": "render"}
            message = SimpleNamespace(topic="flamenco/jobs", payload=json.dumps(update).encode())
            self.on_message(self, None, message)
"""

AF = '''
import subprocess


class Task:
    def __init__(self, name):
        self.name = name

    def setCommand(self, command):
        self.command = command


class Block:
    def __init__(self, name, service):
        self.name, self.tasks, self.depends = name, [], None

    def setCommand(self, command):
        self.command = command

    def setNumeric(self, first, last, per_task):
        assert (first, last, per_task) == (1, 240, 1)

    def setDependMask(self, mask):
        self.depends = mask


class Job:
    def __init__(self, name):
        self.name, self.blocks = name, []

    def send(self):
        """Render nothing, and do what waits for the render."""
        render, sheet = self.blocks
        assert sheet.depends == render.name
        for task in sheet.tasks:
            subprocess.run(task.command, shell=True, check=True)
'''

MC = """#!/bin/sh
printf '%s\\n' "$@" >> mc.log
echo >> mc.log
"""

MODULES = {
    "Deadline/__init__.py": "",
    "Deadline/Events.py": DEADLINE_EVENTS,
    "kafka.py": KAFKA,
    "paho/__init__.py": "",
    "paho/mqtt/__init__.py": "",
    "paho/mqtt/client.py": MQTT,
    "af.py": AF,
    "drive_deadline.py": DEADLINE_JOB,
}
