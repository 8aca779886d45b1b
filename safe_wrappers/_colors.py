"""The colours of all pictures."""

BLUE = "#1f5fa8"  # what is safe
ORANGE = "#d9822b"  # what a safeguard changes
RED = "#c0262d"  # what is unsafe
GREY = "#6b6b6b"  # what is there for comparison
GREEN = "#1b8a7a"
