"""Which method explains this model best: methods by metrics on data, with what can be told apart."""

from fluxpath.runtime.evaluation.evaluation import Evaluation
from fluxpath.runtime.evaluation.run import evaluate
from fluxpath.runtime.evaluation.statistics import Interval, Standing

__all__ = ["Evaluation", "Interval", "Standing", "evaluate"]
