"""From folders to results: reads like the table of stages, top to bottom."""

from spinemri.pipeline.compare import ComparedStudies, compare_studies
from spinemri.pipeline.events import Event, Recorder
from spinemri.pipeline.options import Options
from spinemri.pipeline.remeasure import remeasure
from spinemri.pipeline.run import run_study

__all__ = ["ComparedStudies", "Event", "Options", "Recorder", "compare_studies", "remeasure", "run_study"]
