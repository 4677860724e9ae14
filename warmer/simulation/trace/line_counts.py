"""Counts of the lines of a trace: read, and left out by reason."""

from collections import Counter
from dataclasses import dataclass, field

from warmer.simulation.trace.http_request import ERROR_STATUS, NO_REQUEST, OTHER_METHOD

UNREADABLE, OTHER_FORMAT, ODD_TIME, COMMENT = "unreadable", "other_format", "odd_time", "comment"
_IN_WORDS = {
    OTHER_METHOD: "other methods than GET and HEAD",
    ERROR_STATUS: "errors (a status from 400)",
    NO_REQUEST: "without a request",
    ODD_TIME: "times of another epoch than most",
    OTHER_FORMAT: "of another format",
    COMMENT: "comments",
    UNREADABLE: "unreadable",
}


@dataclass(slots=True)
class LineCounts:
    """Counts of the lines of a trace.

    Args:
        format: The name of the format that was taken.
        columns: Which columns were taken for what, in words; "" if the format fixes them.
        lines: All lines except empty ones and headers.
        read: Lines that are reads.
        left_out: The number of other lines by reason.
        first_unreadable: The first line that could not be read, and why.
        other_formats: The formats of lines that were left out as of another format.
    """

    format: str
    columns: str = ""
    lines: int = 0
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first_unreadable: str = ""
    other_formats: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the counts in a sentence.

        Example:
            >>> print(LineCounts("csv", "", 5, 4, Counter(unreadable=1), "line 5, 'x': expected a time and a key"))
            csv, 4 of 5 lines; left out: 1 unreadable, the first is line 5, 'x': expected a time and a key
        """
        columns = f" ({self.columns})" if self.columns else ""
        others = f" ({', '.join(self.other_formats)})"
        reasons = ", ".join(
            f"{self.left_out[reason]:,} {words}{others if reason == OTHER_FORMAT else ''}"
            for reason, words in _IN_WORDS.items()
            if self.left_out[reason]
        )
        left_out = f"; left out: {reasons}" if reasons else ""
        first = f", the first is {self.first_unreadable}" if self.first_unreadable else ""
        return f"{self.format}{columns}, {self.read:,} of {self.lines:,} lines{left_out}{first}"
