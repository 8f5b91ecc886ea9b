"""The shell around the service: connections, access, admission, limits, metrics, logs."""
