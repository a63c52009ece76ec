"""The kinds of experiment that come with the package: a line each."""

from __future__ import annotations

from latentlang.reproduction.kinds.registry import register

_ROOM = "latentlang.reproduction.kinds"

register("accuracy", f"{_ROOM}.accuracy:AccuracyKind")
register("pearson", f"{_ROOM}.pearson:PearsonKind")
register("lens", f"{_ROOM}.lens:LensKind")
register("pca", f"{_ROOM}.pca:PCAKind")
register("printed", f"{_ROOM}.printed:PrintedKind")
register("printed-means", f"{_ROOM}.printed_means:PrintedMeansKind")
register("scores", f"{_ROOM}.scores:ScoresKind")
register("training-arms", f"{_ROOM}.training_arms:TrainingArmsKind")
register("gap-statistics", f"{_ROOM}.gap_statistics:GapStatisticsKind")
register("latent", f"{_ROOM}.latent:LatentKind")
register("fertility-ratio", f"{_ROOM}.fertility_ratio:FertilityRatioKind")
register("choice", f"{_ROOM}.choice:ChoiceKind")
register("ceilings", f"{_ROOM}.ceilings:CeilingsKind")
register("questions", f"{_ROOM}.questions:QuestionsKind")
