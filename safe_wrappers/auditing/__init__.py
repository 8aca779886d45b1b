"""The audit: everything that a safety reviewer asks of a system, found out anew and written as one
page.
"""

from ._audit import Audit as Audit
from ._audit import audit as audit
from ._finding import Finding as Finding
from ._finding import Picture as Picture
from ._finding import Table as Table
from ._page import as_html as as_html
from ._report import as_json as as_json
from ._report import as_text as as_text
from ._report import write as write
from ._run_record import RunRecord as RunRecord
