"""Files and lists of people: staged, judged, and written."""
