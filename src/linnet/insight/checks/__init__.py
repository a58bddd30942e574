"""The doctor: what is looked for before anything is trained."""
