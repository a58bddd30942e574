"""The report: one offline HTML file about a run, or a comparison of several runs."""
