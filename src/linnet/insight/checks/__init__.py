"""The doctor: checks of the data before anything is trained."""
