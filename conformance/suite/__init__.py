"""The suite as plain pytest: ``pytest --pyargs conformance.suite``. Options come from conformance.plugin."""
