"""Conformance: is a simulator covered by the model and its declared disturbance set?"""

from ._conform import conform as conform
from ._report import ConformanceReport as ConformanceReport
from ._report import Sample as Sample
from ._report_text import as_json as as_json
from ._report_text import as_text as as_text
from ._scenario import violation_bound as violation_bound
