"""Wing: `edgetwin backtest`: what the detectors would have said of a recording."""
