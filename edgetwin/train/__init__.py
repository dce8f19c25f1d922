"""Wing: labelled history into a failure model. Needs the extra `train`; the daemon imports none of it."""
