"""Model runs and their report cards. Parameters are JSON, never a pickle; the unit travels with the model."""

from django.db import models
from django.db.models.functions import Now

__all__ = ["ModelRun"]


class ModelRun(models.Model):
    """One computation of one group of traits. At most one ``published`` run per group is current: the last good one."""

    run_no = models.BigAutoField(primary_key=True)
    group = models.CharField(max_length=20, choices=[(g, g) for g in ("rfm", "ltv", "cluster", "intent")])
    state = models.CharField(
        max_length=10, default="running", choices=[(s, s) for s in ("running", "published", "refused", "failed")]
    )
    reason = models.CharField(max_length=400, blank=True, help_text="Why it was refused or failed, in one sentence.")
    as_of = models.DateTimeField()
    method = models.CharField(
        max_length=40, blank=True, help_text="The rung of the ladder that was used, e.g. bgnbd_gammagamma."
    )
    unit = models.CharField(max_length=10, default="day", help_text="Time unit of the parameters: day or week.")
    parameters = models.JSONField(default=dict)
    report = models.JSONField(default=dict, help_text="Held-out errors, baselines, decile table, notes.")
    profiles = models.BigIntegerField(default=0)
    seed = models.BigIntegerField(default=0)
    input_fingerprint = models.CharField(
        max_length=64, blank=True, help_text="Of orders, day, settings and code: a run on equal input is not repeated."
    )
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["group", "-run_no"], name="run_by_group")]

    def __str__(self) -> str:
        return f"{self.group} run {self.run_no}"
