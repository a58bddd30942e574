"""One offline file that tells the whole story of a run, or of several beside each other."""
