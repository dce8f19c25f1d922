"""PACE: which samples leave, and when. Pure: the clock is passed in, nothing is decoded unasked."""
