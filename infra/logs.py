"""What a process says of itself: one line of JSON for each thing on a log, a plain line for a person at a terminal.

Fields that a line is about (node, job, incident, command, partition) stand beside the message and not only in it. What
Faust, the Kafka clients and our own modules say goes the same way. No setting is ever said, so no secret is.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from infra.settings import Logs

#: What a line may be about; each is left out where there is none.
FIELDS: Final = ("node", "job", "incident", "command", "action", "stage", "alert", "topic", "partition")
#: Of others only warnings are of use to who runs forestall; Faust would tell of each of its services, ours among them.
_OTHERS: Final = ("faust", "mode", "streams.transport", "kafka", "aiokafka", "rdkafka", "aiohttp", "asyncio")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: at, level, process, logger, message, its fields, and a traceback where there is."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self.process,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            told["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(told, ensure_ascii=False, default=str)


class PlainLines(logging.Formatter):
    """A record as a person reads it; whoever is meant begins the line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it where there is one."""
        who = "" if record.levelno < logging.WARNING or record.name == _name(self._process) else f"{record.name}: "
        line = f"{self._process}: {who}{record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(logs: Logs, process: str, stream: TextIO | None = None) -> logging.Logger:
    """Send all that this process logs to ``stream`` (stderr); returns the logger of what it says of itself.

    ``process`` begins each plain line, as ``forestall produce`` or ``agent n3`` do.
    """
    out = sys.stderr if stream is None else stream
    json_lines = logs.format == "json" or (logs.format == "auto" and not out.isatty())
    handler = _Unbroken(out)
    handler.setFormatter(JsonLines(process) if json_lines else PlainLines(process))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logs.level.upper())
    for name in _OTHERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return logging.getLogger(_name(process))


def _name(process: str) -> str:
    return f"forestall.{process.removeprefix('forestall ').partition(' ')[0]}"


class _Unbroken(logging.StreamHandler[TextIO]):
    """A log that cannot be written, as on a full disk, ends nothing and is not told of where it cannot be read."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on."""


def speaker(log: logging.Logger, **fields: Any) -> Callable[[str], None]:
    """Something to say lines with, each about ``fields``; they also name who is meant by a cluster agent's words."""

    def say(line: str) -> None:
        log.info(line, extra={**fields, **_meant(line)})

    return say


def _meant(line: str) -> Mapping[str, str]:
    """The command of a line such as ``CHECKPOINT 96ffe0ce8e12c488 durable``."""
    words = line.split(maxsplit=3)
    if len(words) < 3 or not words[0].isupper():
        return {}
    stage = words[2].rstrip(":")
    return {"action": words[0], "command": words[1], "stage": stage}


def complain(text: str) -> None:
    """Say why a process ends: on its log where that is of JSON, else as a plain line on stderr."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonLines):
            logging.getLogger(_name(handler.formatter.process)).error("forestall: %s", text)
            return
    print(f"forestall: {text}", file=sys.stderr, flush=True)


def message_of(line: str) -> str:
    """What a line of a log says, be it of JSON or plain.

    >>> message_of('{"at": "…", "message": "no room"}'), message_of("forestall: no room")
    ('no room', 'forestall: no room')
    """
    if line.startswith("{"):
        try:
            return str(json.loads(line)["message"])
        except (ValueError, KeyError, TypeError):
            return line
    return line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    told = ((name, getattr(record, name, None)) for name in FIELDS)
    return {name: value for name, value in told if value is not None}
