"""Judge room: what the samples mean: features, anomalies, failures. Pure but for the model runtime."""
