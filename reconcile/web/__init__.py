"""DOOR. DICOMweb, JSON, health and metrics over HTTP; decides nothing."""
