"""Reports: a whole comparison on one page, drawn from saved results without a model."""

from latentlang.comparison.report import write_comparison
from latentlang.figures.document import Details, Document, Facts, Figure, Section, Table, Text, write_document

__all__ = [
    "Details",
    "Document",
    "Facts",
    "Figure",
    "Section",
    "Table",
    "Text",
    "write_comparison",
    "write_document",
]
