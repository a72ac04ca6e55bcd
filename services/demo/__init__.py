"""The demo: a real community's history, moved to now, sent through the public door, shown as a CS manager sees it."""

from services.demo.demo import run, run_demo
from services.demo.summary import print_summary

__all__ = ["print_summary", "run", "run_demo"]
