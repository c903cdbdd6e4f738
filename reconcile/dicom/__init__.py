"""DOOR. DICOM upper layer and DIMSE services; decides nothing."""
