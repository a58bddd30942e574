"""Why a fit stopped, in the language of who reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from linnet.core.events import number
from linnet.core.language import LANGUAGES, current, tr


def stopped(fit: Mapping[str, Any], *, short: bool = False) -> str:
    """Why a fit stopped, and how far from the optimum it can be, from its facts in
    ``metrics.json``.

    In English it is as it was written, or ``short`` where the fit converged; in another language it
    is told by the kind of the reason.
    """
    kind, gap = fit.get("stopped"), number(fit.get("gap"))
    told = str(fit.get("reason") or "–")
    if (short and kind == "converged") or current() != LANGUAGES[0]:
        told = _by_kind(fit) or told
    if not 0 < gap < math.inf:
        return told
    return tr("{why}; at most {gap} above the optimum", why=told, gap=f"{gap:.1e}")


def _by_kind(fit: Mapping[str, Any]) -> str | None:
    kind, epochs, best = (fit.get(key) for key in ("stopped", "epochs", "best_epoch"))
    kinds = {
        "converged": tr("converged"),
        "rounding": tr("converged as far as rounding allows"),
        "stuck": tr("not converged: rounding stops progress"),
        "max_iter": tr("not converged: too few steps (max_iter)"),
        "separation": tr("not converged: the classes can be separated; set a penalty"),
        "epochs": tr("all {count} epochs done", count=epochs),
        "no_progress": tr("the training loss no longer fell"),
        "early_stopping": tr("the validation loss no longer fell"),
    }
    told = kinds.get(str(kind))
    if told is None or kind not in ("epochs", "no_progress", "early_stopping"):
        return told
    if epochs != best and best is not None:
        told = tr("{why}; best at epoch {best} of {epochs}", why=told, best=best, epochs=epochs)
    members = fit.get("members")
    return told if members is None else tr("{n} members: {why}", n=members, why=told)
