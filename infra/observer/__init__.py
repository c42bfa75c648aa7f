"""Reads what forestall put on its topics and folds it into what a person looks at."""

from infra.observer.reader import Observer
from infra.observer.record import LogRecord
from infra.observer.view import READS, View

__all__ = ["READS", "LogRecord", "Observer", "View"]
