"""An independent checker: received, given out and events of an instance explain each other.

It shares no code with what coerces, so that one mistake cannot hide in both: it reads
with pydicom, and takes bytes and the JSON of the outer face only.
"""

from reconcile.checker.check import Finding, Report, check
from reconcile.checker.instance import Instance, Unreadable
from reconcile.checker.named import Named, named

__all__ = ["Finding", "Instance", "Named", "Report", "Unreadable", "check", "named"]
