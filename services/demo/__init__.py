"""The demo: a real community's history, moved to now, sent through the public door, shown as a CS manager sees it."""

from services.demo.course import run, run_demo
from services.demo.empty import greet
from services.demo.summary import print_summary

__all__ = ["greet", "print_summary", "run", "run_demo"]
