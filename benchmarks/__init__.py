"""`make bench`: figures beside a baseline of the same run; a figure without its baseline says nothing."""
