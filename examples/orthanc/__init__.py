"""The engine behind Orthanc."""
