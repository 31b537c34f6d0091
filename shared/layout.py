"""Where everything stands on a sheet: pure arithmetic, so that the API can answer before any work."""
