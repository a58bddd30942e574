"""The colours of curves, in figures and on the live page."""

COLORS = (
    "#1696fe", "#b68f01", "#be025d", "#20697e", "#8703ff", "#89977d", "#fd33d1", "#a603be",
    "#967100", "#5486a6",
)  # fmt: skip
"""Each has a contrast of 3 or more with white and with #111111. Any two are at least 0.098 apart in
OKLab, also for colour-blind eyes (Machado et al. 2009). A search found them. Okabe and Ito's eight
colours have 0.08, and some of them are too pale on white."""
